-- take.lua: open.lua in the usual case: the session is what the caller has, its lock is free, and nobody waits for it.
-- KEYS[1] record  hash   KEYS[2] lock  string   KEYS[3] queue  list
-- ARGV[1] lock token   ARGV[2] version the caller has   ARGV[3] lock ms
-- returns 1 if that was the case and the lock is taken; 0, and nothing was changed, if not: ask open.lua
if redis.call('HGET', KEYS[1], 'v') ~= ARGV[2] or redis.call('LLEN', KEYS[3]) > 0 then return 0 end
return redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[3]) and 1 or 0
