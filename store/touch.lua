-- touch.lua: slide the idle expiry of a session that was used from a local copy a while ago. It creates nothing, and
-- leaves a record of a newer format as it is.
-- KEYS[1] record  hash
-- ARGV[1] how long ago, ms
-- returns {now, expiry}, expiry 0 for none | {now} when there is no session
local meta = redis.call('HMGET', KEYS[1], 'v', 'i', 'x', 'f')
local now = clock()
if not meta[1] then return {now} end
local idle, deadline = tonumber(meta[2] or 0) or 0, tonumber(meta[3] or 0) or 0
local used = now - tonumber(ARGV[1])
if idle > 0 and not newer(meta[4]) and redis.call('PTTL', KEYS[1]) < used + idle - now then
  return {now, slide(KEYS[1], used, idle, deadline)}
end
local left = redis.call('PTTL', KEYS[1])
return {now, left < 0 and 0 or now + left}
