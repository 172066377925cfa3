-- tags.lua: what a record remembers of the commits before.

-- recent lists the tags of the three commits before one, from the tag that it replaces and those before that.
local function recent(newest, tags)
  if tags == '' then return newest end
  return string.sub(newest .. ' ' .. tags, 1, 3 * (#newest + 1) - 1)
end
