-- fastcommit.lua: commit.lua in the usual case: new data for keys that are there, in a session that is as it was opened,
-- that no other node has a copy of, and that no other request waits for. It stands behind tags.lua.
-- KEYS[1] record  hash   KEYS[2] lock  string   KEYS[3] queue  list
-- ARGV[1] lock token   ARGV[2] version at the open   ARGV[3] its tag   ARGV[4] node of the caller
-- ARGV[5] ms the session lives without use ('' = as it is)   ARGV[6] ms to keep the lock for ('' = free it)
-- ARGV[7..] fields to set, and what to
-- returns 1 if that was the case and the fields are set; 0, and nothing was changed, if not: send commit.lua
local record, lock, queue = KEYS[1], KEYS[2], KEYS[3]
local meta = redis.call('HMGET', record, 'v', 'n', 't')
local copies = meta[2] or ''
if meta[1] ~= ARGV[2] or copies ~= '' and copies ~= ARGV[4] or redis.call('GET', lock) ~= ARGV[1]
  or redis.call('LLEN', queue) > 0 then
  return 0
end
redis.call('HSET', record, 't', recent(ARGV[3], meta[3] or ''), unpack(ARGV, 7))
-- Nothing may fail after the write. A user who may not do these could not have created the session.
if ARGV[5] ~= '' then redis.pcall('PEXPIRE', record, ARGV[5]) end
if ARGV[6] ~= '' then
  redis.pcall('PEXPIRE', lock, ARGV[6])
else
  redis.pcall('DEL', lock)
end
return 1
