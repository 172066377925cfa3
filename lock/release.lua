-- release.lua: leave.lua in the usual case: the lock is ours, and no other request waits for it.
-- KEYS[1] lock   string: the holder's lock token
-- KEYS[2] queue  list: the lock tokens that wait
-- ARGV[1] token
-- returns 1 that was the case, and the lock is released | 0 it was not, and nothing was changed: send leave.lua
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('LLEN', KEYS[2]) > 0 then return 0 end
return redis.call('DEL', KEYS[1])
