-- confirm.lua: at the end of a request that has written nothing, check that the session is as it was opened, and keep its
-- lock.
-- KEYS[1] record  hash   KEYS[2] lock  string   KEYS[3] queue  list
-- ARGV[1] lock token   ARGV[2] version at the open   ARGV[3] ms to keep the lock for
-- ARGV[4] ms the session lives without use ('' = as it is)
-- returns 1 if the version is the same, the token holds the lock and no other request waits for it: the lock is kept, and
--   the session was used | 0 if not, and nothing was changed
if redis.call('HGET', KEYS[1], 'v') ~= ARGV[2] or redis.call('GET', KEYS[2]) ~= ARGV[1]
  or redis.call('LLEN', KEYS[3]) > 0 then
  return 0
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
if ARGV[4] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1
