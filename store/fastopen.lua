-- fastopen.lua: the fast path of open.lua, for a client that has shown the session's current secret, while no other
-- request holds the lock or waits for it. It comes after record.lua.
-- KEYS[1] record  hash   KEYS[2] lock  string   KEYS[3] queue  list
-- ARGV[1] lock token ('' = no lock); if it holds the lock already, it keeps it   ARGV[2] lock ms
-- ARGV[3] version that the caller has ('' = none)   ARGV[4] hash of the secret that the client showed ('' = opened by ID)
-- ARGV[5] node of the caller   ARGV[6] '1' to register the node in the directory of copies, which a request with a lock
--   does only if the caller's version is the current one
-- ARGV[7] '1' if the caller knows that the secret opens its version   ARGV[8] ms that this version lives without use ('' =
--   it does not depend on use)
-- returns 1, plus 2 if no other node has a copy, plus 4 if this node is registered, where ARGV[7] is set and the caller's
--   version is the current one | otherwise the record as open.lua returns it | {'absent', 0, 0} | {'newer', 0, 0}
-- | 0, and nothing was changed, in any other case: send open.lua
local record, lock, token, node = KEYS[1], KEYS[2], ARGV[1], ARGV[5]
local meta = redis.call('HMGET', record, 'v', 'n', 'f')
local version, copies = meta[1], meta[2] or ''
if not version then return {'absent', 0, 0} end
if newer(meta[3]) then return {'newer', 0, 0} end
local known = version == ARGV[3]
local current = known and ARGV[7] ~= ''
local idle, deadline
if not current then
  local rest = redis.call('HMGET', record, 'h', 'p', 'i', 'x')
  if ARGV[4] ~= '' and (rest[1] ~= ARGV[4] or string.find(rest[2] or '', ':P:', 1, true)) then return 0 end
  idle, deadline = tonumber(rest[3] or 0) or 0, tonumber(rest[4] or 0) or 0
end
if token ~= '' then
  if redis.call('LLEN', KEYS[3]) > 0 then return 0 end
  if not redis.call('SET', lock, token, 'NX', 'PX', ARGV[2]) then
    if redis.call('GET', lock) ~= token then return 0 end
    redis.call('PEXPIRE', lock, ARGV[2])
  end
end
local sole, registered = copies == '' or copies == node, 0
if ARGV[6] ~= '' and (known or token == '') then
  registered = register(record, copies, node)
elseif node ~= '' and string.find(copies, node, 1, true) then
  registered = 1
end
if current then
  if ARGV[8] ~= '' then redis.call('PEXPIRE', record, ARGV[8]) end
  return 1 + (sole and 2 or 0) + 4 * registered
end
local now = clock()
return {'held', 0, now, version, slide(record, now, idle, deadline), '', registered,
  not known and redis.call('HGETALL', record), sole and 1 or 0}
