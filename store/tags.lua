-- tags.lua: what a record remembers of the commits before.

-- recent returns the tags of the last three commits: the newest, and the first ones of tags.
local function recent(newest, tags)
  if tags == '' then return newest end
  return string.sub(newest .. ' ' .. tags, 1, 3 * (#newest + 1) - 1)
end
