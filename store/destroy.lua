-- destroy.lua: end a session from within a request, invalidate the copies, and wake the waiters, which find it gone.
-- KEYS[1] record  hash   KEYS[2] lock  string   KEYS[3] queue  list
-- ARGV[1] node_prefix   ARGV[2] channel of all nodes   ARGV[3] grant ms   ARGV[4] lock token ('' = none)   ARGV[5] id
-- ARGV[6] version at the open, if nothing may have changed since ('' = whatever it is now)
-- ARGV[7] stamp of e at the open ('' = need not match)   ARGV[8] node that gets no message   ARGV[9] life of the mark, ms
-- ARGV[10] mark: see bury
-- returns {'ok', 0, '', now, 0, 1} | {'conflict', 0} | with a version {'removed', 0, mark, now} when there is no session
local record, lock, queue, token = KEYS[1], KEYS[2], KEYS[3], ARGV[4]
local now = clock()
local meta = redis.call('HMGET', record, 'v', 'n', 'e', 'z')
local version = meta[1]
local changed = ARGV[6] ~= '' and version ~= ARGV[6] or ARGV[7] ~= '' and (meta[3] or '') ~= ARGV[7]
if version and changed then
  if token ~= '' then leave(lock, queue, ARGV[1], token, ARGV[3]) end
  return {'conflict', 0}
end
if version then
  bury(record, ARGV[10], ARGV[9])
  invalidate(meta[2] or '', ARGV[8], ARGV[1], ARGV[2], ARGV[5], string.match(version, '^%d+') or '0')
end
if not version and ARGV[6] ~= '' and meta[4] ~= ARGV[10] then -- else this was sent before, and done
  if token ~= '' then leave(lock, queue, ARGV[1], token, ARGV[3]) end
  return {'removed', 0, meta[4] or '', now}
end
if token ~= '' or version then wake(lock, queue, ARGV[1]) end
return {'ok', 0, '', now, 0, 1}
