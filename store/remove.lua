-- remove.lua: end a session from outside of its requests, even while one holds its lock. A commit under way fails.
-- KEYS[1] record  hash   KEYS[2] lock  string   KEYS[3] queue  list
-- ARGV[1] node_prefix   ARGV[2] channel of all nodes   ARGV[3] id   ARGV[4] life of the mark, ms: see bury
-- ARGV[5] user: end it only if it is theirs ('' = of any user)   ARGV[6] '1' if a commit that makes it theirs may be under
--   way   ARGV[7] tag of a version that makes such a commit fail
-- returns {1 removed | 0 there was none | 2 it is not the user's, user or ''}
local record, id, user, pending = KEYS[1], ARGV[3], ARGV[5], ARGV[6] ~= ''
local meta = redis.call('HMGET', record, 'v', 'n', 'u', 't')
local version, copies, owner = meta[1], meta[2] or '', meta[3] or ''
local function tell(counter) invalidate(copies, '', ARGV[1], ARGV[2], id, counter) end

if not version and user ~= '' and not pending then return {0, ''} end
if version and user ~= '' and owner ~= user then
  if pending then
    local c, newest = string.match(version, '^(%d+)%.(.+)$')
    local count = string.format('%.0f', tonumber(c or 0) + 1)
    -- A commit that does not compare the version fails by the stamp. The tags let one that was written recognize itself.
    redis.call('HSET', record, 'v', count .. '.' .. ARGV[7], 't', recent(newest or '', meta[4] or ''),
      'e', count .. '.' .. string.sub(ARGV[7], 1, 4), 'n', '')
    tell(count)
  end
  return {2, owner}
end
bury(record, 'r', ARGV[4])
if version then tell(string.match(version, '^%d+') or '0') end
wake(KEYS[2], KEYS[3], ARGV[1])
return {version and 1 or 0, owner}
