-- remove.lua: end a session from outside of any request, whoever holds its lock. A commit that is on its way finds
-- nothing to write to. A session that was created a moment ago, or is about to be, leaves a mark that keeps a
-- creation that is sent (again) behind us from bringing it back.
-- KEYS[1] record  hash   KEYS[2] lock  string   KEYS[3] queue  list
-- ARGV[1] node_prefix   ARGV[2] channel of all nodes   ARGV[3] id   ARGV[4] life of the mark, ms
-- returns {1 removed | 0 there was none, user or ''}
local meta = redis.call('HMGET', KEYS[1], 'v', 'n', 'c', 'u')
local version = meta[1]
redis.call('DEL', KEYS[1])
if not version or clock() - tonumber(meta[3] or 0) < tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[1], 'z', '1')
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
if version then
  invalidate(meta[2] or '', '', ARGV[1], ARGV[2], 'i' .. ARGV[3] .. ' ' .. (string.match(version, '^%d+') or '0'))
end
wake(KEYS[2], KEYS[3], ARGV[1])
return {version and 1 or 0, meta[4] or ''}
