-- open.lua: read a session, and with a token take its lock or queue for it.
-- KEYS[1] record  hash   KEYS[2] lock  string   KEYS[3] queue  list
-- ARGV[1..7]  node_prefix, token ('' = no lock), waited, max waiters, queue ms, grant ms, lock ms: see enter.lua
-- ARGV[8]  hash of the secret that the client showed ('' = opened by ID)   ARGV[9] version the caller has ('' = none)
-- ARGV[10] node of the caller ('' = it keeps no copies)   ARGV[11] grace ms for secrets replaced by periodic rotation
-- ARGV[12] '1' to register the node in the directory of copies, which a request with a lock does only if the caller's
--   version is the current one
-- returns {'held', 0, now, version, expiry, via, registered, fields, sole}: now and expiry in Unix ms, expiry 0 for none,
--   via 'P' or 'G' if the secret is a replaced one that still opens the session, else '', registered 1 if the node is in
--   the directory, fields the record as HGETALL gives it unless the caller's version is the current one, sole 1 if no
--   other node has a copy
-- | {word, ms, now} where the session was not opened: word is 'first', 'queued' or 'full' as in enter, 'absent',
--   'denied' (unknown secret), 'superseded' (secret replaced by Rotate a moment ago), 'reused' (secret replaced by
--   periodic rotation, and its time is over) or 'newer' (a format that this release cannot read; the record is unchanged)
local record, lock, queue = KEYS[1], KEYS[2], KEYS[3]
local node_prefix, token, waited, grant_ms = ARGV[1], ARGV[2], ARGV[3] ~= '', ARGV[6]
local secret, known, node, grace = ARGV[8], ARGV[9], ARGV[10], tonumber(ARGV[11])
local now = clock()

local meta = redis.call('HMGET', record, 'v', 'h', 'i', 'x', 'n', 'p', 'f')
local version, hash, idle, deadline = meta[1], meta[2], tonumber(meta[3] or 0) or 0, tonumber(meta[4] or 0) or 0
local copies, replaced = meta[5] or '', meta[6] or ''

local function refuse(word)
  if token ~= '' then leave(lock, queue, node_prefix, token, grant_ms) end
  return {word, 0, now}
end

if not version then return refuse('absent') end
if newer(meta[7]) then return refuse('newer') end
local via = ''
if secret ~= '' and secret ~= hash then
  local over
  via, over = rule_of(replaced, secret, now)
  if not via then return refuse('denied') end
  if over then return refuse('reused') end
  if via == 'R' then return refuse('superseded') end
end

if token ~= '' then
  local word, ms = enter(lock, queue, node_prefix, token, waited, tonumber(ARGV[4]), ARGV[5], grant_ms, ARGV[7])
  if word ~= 'held' then return {word, ms, now} end
end

-- The client has shown the new secret: those that periodic rotation replaced end after the grace window.
if via == '' and secret ~= '' and string.find(replaced, ':P:', 1, true) then
  redis.pcall('HSET', record, 'p', confirm(replaced, now + grace))
end
local registered = 0
if ARGV[12] ~= '' and (version == known or token == '') then
  registered = register(record, copies, node)
elseif node ~= '' and string.find(copies, node, 1, true) then
  registered = 1
end
return {'held', 0, now, version, slide(record, now, idle, deadline), via, registered,
  version ~= known and redis.call('HGETALL', record), (copies == '' or copies == node) and 1 or 0}
