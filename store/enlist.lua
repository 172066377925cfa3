-- enlist.lua: enter a session into the index of a user.
-- KEYS[1] index  sorted set: IDs by the time of their entry, Unix us; no two are the same, so the order is one
-- ARGV[1] id   ARGV[2] ms that the session may live, 0 for ever
-- returns how many entries there are
local index, id, life = KEYS[1], ARGV[1], tonumber(ARGV[2])
local left = redis.call('PTTL', index) -- -2 no key, -1 no expiry
local t = redis.call('TIME')
local entered = t[1] * 1000000 + t[2]
local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')
if last[2] and tonumber(last[2]) >= entered then entered = tonumber(last[2]) + 1 end
redis.call('ZADD', index, string.format('%.0f', entered), id)
if life == 0 then
  redis.call('PERSIST', index)
elseif left ~= -1 and left < life then
  redis.call('PEXPIRE', index, life)
end
return redis.call('ZCARD', index)
