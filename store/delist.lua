-- delist.lua: take entries out of the index of a user, each only if the session was not entered again since.
-- KEYS[1] index  sorted set: IDs by the time of their entry, Unix us
-- ARGV: for each, ID and time of entry ('' = at any time)
-- returns how many were removed
local index, gone = KEYS[1], 0
for i = 1, #ARGV, 2 do
  local id, stamp = ARGV[i], ARGV[i + 1]
  local entered = stamp ~= '' and redis.call('ZSCORE', index, id)
  if stamp == '' or entered and tonumber(entered) == tonumber(stamp) then
    gone = gone + redis.call('ZREM', index, id)
  end
end
return gone
