-- release.lua: the fast path of leave.lua, for a lock that is ours and that no other request waits for.
-- KEYS[1] lock   string: the holder's lock token
-- KEYS[2] queue  list: the lock tokens that wait
-- ARGV[1] token
-- returns 1 if the lock was released | 0 if it is another case and nothing was changed: send leave.lua
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('LLEN', KEYS[2]) > 0 then return 0 end
return redis.call('DEL', KEYS[1])
