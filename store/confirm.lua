-- confirm.lua: what the end of a request that has written nothing asks: is the session as it was opened, and may its lock
-- be kept?
-- KEYS[1] record  hash   KEYS[2] lock  string   KEYS[3] queue  list
-- ARGV[1] lock token   ARGV[2] version at the open   ARGV[3] ms to keep the lock for
-- ARGV[4] ms the session lives without use ('' = as it is)
-- returns 1 if it is, the lock is the token's and no other request waits for it: the lock is kept, and this was a use of
--   the session; 0, and nothing was changed, if not
if redis.call('HGET', KEYS[1], 'v') ~= ARGV[2] or redis.call('GET', KEYS[2]) ~= ARGV[1]
  or redis.call('LLEN', KEYS[3]) > 0 then
  return 0
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
if ARGV[4] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1
