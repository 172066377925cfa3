-- renew.lua: prolong a lock that is still ours.
-- KEYS[1] lock   string: the holder's lock token
-- ARGV[1] token   ARGV[2] ttl in ms
-- returns 1 prolonged | 0 the lock is not ours
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
