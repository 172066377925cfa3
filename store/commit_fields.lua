-- commit_fields.lua: what a commit that may be written writes.

-- timing puts the deadline and idle timeout that the commit sets into the record that was found, and reports whether it
-- sets any.
local function timing(c, r, now)
  if not c.more then return false end
  local timed = c.lifetime_ms ~= ''
  if timed then r.deadline = tonumber(c.lifetime_ms) > 0 and now + c.lifetime_ms or 0 end
  for i = 1, #c.meta, 2 do
    if c.meta[i] == 'i' then r.idle, timed = tonumber(c.meta[i + 1]), true end
  end
  return timed
end

-- fields lists the fields to write, each followed by its value. whole: nothing has changed since the open.
local function fields(c, r, version, stamp, whole, now)
  local list = {'v', version, 't', recent(r.newest, r.tags)}
  local function put(name, value) list[#list + 1] = name; list[#list + 1] = value end
  local keeper = whole and c.register and c.node or ''
  if keeper ~= r.copies then put('n', keeper) end
  for i = 1, #c.set, 3 do
    local ends = c.set[i + 1] ~= '' and string.format('%.0f', now + c.set[i + 1]) or '0'
    put('.' .. c.set[i], stamp .. ':' .. ends .. ':' .. c.set[i + 2])
  end
  if not c.more then return list end

  local time, create = string.format('%.0f', now), c.mode == 'create'
  for i = 1, #c.meta, 2 do put(c.meta[i], c.meta[i + 1]) end
  if c.lifetime_ms ~= '' then put('x', string.format('%.0f', r.deadline)) end
  if create then put('c', time) end
  if create or c.rule == 'R' or c.user_changed then put('e', stamp); put('r', time) end
  if create or c.keys_changed then put('k', stamp) end
  if create or c.rule ~= '' then put('s', time) end
  if c.rule ~= '' then put('p', replace(r.replaced, r.hash, c.rule, now + c.rule_ms, now)) end
  return list
end
