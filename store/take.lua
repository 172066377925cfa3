-- take.lua: open.lua in the usual case: the session is what the caller has, its lock is free, and nobody waits for it.
-- KEYS[1] record  hash   KEYS[2] lock  string   KEYS[3] queue  list
-- ARGV[1] lock token   ARGV[2] version the caller has   ARGV[3] lock ms   ARGV[4] node of the caller, which has a copy
-- returns 1 if that was the case and the lock is taken, 2 if other nodes have copies as well; 0, and nothing was changed,
--   if not: ask open.lua
local meta = redis.call('HMGET', KEYS[1], 'v', 'n')
if meta[1] ~= ARGV[2] or redis.call('LLEN', KEYS[3]) > 0 or not redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[3]) then
  return 0
end
return meta[2] == ARGV[4] and 1 or 2
