-- enlist.lua: enter a session into the index of a user, and return a few others, which may be stale.
-- KEYS[1] index  sorted set: IDs by the time of their entry, Unix us; no two times are equal
-- ARGV[1] id   ARGV[2] ms that the index must live, 0 = without end   ARGV[3] where to begin with the others, any number
-- ARGV[4] number of entries up to which none is returned   ARGV[5] how many are returned otherwise
-- returns {how many entries there are, time of this one, 1 if it was there before, now, {ID, time of entry, ...}}
local index, id, life = KEYS[1], ARGV[1], tonumber(ARGV[2])
local left = redis.call('PTTL', index) -- -2 no key, -1 no expiry
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local entered = now
local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')
if last[2] and tonumber(last[2]) >= entered then entered = tonumber(last[2]) + 1 end
local stamp = string.format('%.0f', entered)
local new = redis.call('ZADD', index, stamp, id)
if life == 0 then
  redis.call('PERSIST', index)
elseif left ~= -1 and left < life then
  redis.call('PEXPIRE', index, life)
end
local count, shown = redis.call('ZCARD', index), {}
if count > tonumber(ARGV[4]) then
  local from = tonumber(ARGV[3]) % count
  shown = redis.call('ZRANGE', index, from, from + ARGV[5] - 1, 'WITHSCORES')
end
return {count, stamp, 1 - new, now, shown}
