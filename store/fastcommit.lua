-- fastcommit.lua: the fast path of commit.lua, for new data of existing keys, in a session that has not changed since it
-- was opened, of which no other node has a copy, and for which no request waits.
-- KEYS[1] record  hash   KEYS[2] lock  string   KEYS[3] queue  list
-- ARGV[1] lock token   ARGV[2] version at the open   ARGV[3] the directory of copies: the caller's node or ''
-- ARGV[4] ms the session lives without use ('' = as it is)   ARGV[5] ms to keep the lock for ('' = free it)
-- ARGV[6] new version   ARGV[7] tags of the commits before   ARGV[8..] other fields to set, and what to
-- returns 1 if all of this holds, and the fields are set | 0 if not, and nothing was changed: send commit.lua
local record, lock = KEYS[1], KEYS[2]
local found = redis.call('HMGET', record, 'v', 'n')
if found[1] ~= ARGV[2] or (found[2] or '') ~= ARGV[3] or redis.call('GET', lock) ~= ARGV[1]
  or redis.call('LLEN', KEYS[3]) > 0 then
  return 0
end
redis.call('HSET', record, 'v', ARGV[6], 't', ARGV[7], unpack(ARGV, 8))
-- Nothing may fail after the write. A user who may not do these could not have created the session.
if ARGV[4] ~= '' then redis.pcall('PEXPIRE', record, ARGV[4]) end
if ARGV[5] ~= '' then
  redis.pcall('PEXPIRE', lock, ARGV[5])
else
  redis.pcall('DEL', lock)
end
return 1
