-- commit.lua: compare, write one session, tell the copies, release the lock. All of it or nothing.
-- KEYS[1] record  hash   KEYS[2] lock  string   KEYS[3] queue  list
-- ARGV[1] node_prefix   ARGV[2] channel of all nodes   ARGV[3] grant ms   ARGV[4] lock TTL ms
-- ARGV[5] lock token ('' = none)   ARGV[6] keep ('1' = a request of this process is next)   ARGV[7] id
-- ARGV[8] 'create' | 'whole' (nothing may have changed) | 'keys' (only what is listed) | 'remove' | 'take' (remove it
--   if nothing has changed)
-- ARGV[9] version at the open   ARGV[10] tag of this commit   ARGV[11] node that keeps a copy ('' = none)
-- ARGV[12] again ('1' = this commit was sent before and not answered)
-- ARGV[13] rule for the replaced secret ('' = not rotated)   ARGV[14] ms until it ends
-- ARGV[15] lifetime ms from now ('' = as it was, 0 = none)   ARGV[16] ('1' = the user changed)
-- ARGV[17] ('1' = keys were added or removed)
-- ARGV[18] stamp of e at the open ('' = need not match)   ARGV[19] stamp of k at the open ('' = need not match)
-- ARGV[20] life of a removal's mark, ms: see bury in record.lua
-- then four lists, each with its length in front: meta fields (name, value); values to set (key, ms to live or '',
-- data); keys to delete; stamps that must match (key, stamp or '')
-- returns {word, kept, version, now, expiry, whole, fields}: word 'ok', kept 1 if the lock is kept, whole 1 if nothing
--   else had changed since the open; fields the record as HGETALL gives it if this commit was written by an earlier try
-- | {word, kept}: 'done' (this commit was written, and others after it), 'exists', 'removed', 'lost' (the lock is
--   somebody else's), 'conflict', 'corrupt', or 'unknown' (sent before, and too many commits since to tell)
local record, lock, queue = KEYS[1], KEYS[2], KEYS[3]
local node_prefix, everybody, grant_ms, lock_ms, token, keep = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local id, mode, expected, tag, node, again = ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local rule, lifetime = ARGV[13], ARGV[15]
local now = clock()

local meta = redis.call('HMGET', record, 'v', 't', 'h', 'i', 'x', 'n', 'p', 'e', 'k', 'z', 'c')
local version, tags, copies = meta[1], meta[2] or '', meta[6] or ''
local holder = redis.call('GET', lock)

-- finish releases the lock and answers.
local function finish(word, ...)
  local kept = 0
  if token ~= '' and holder == token then
    if keep ~= '' and redis.call('LLEN', queue) == 0 then
      kept = redis.call('PEXPIRE', lock, lock_ms)
    else
      pass(lock, queue, node_prefix, grant_ms)
    end
  end
  return {word, kept, ...}
end

local counter, newest = 0, ''
if version then
  local c, g = string.match(version, '^(%d+)%.(.+)$')
  counter, newest = tonumber(c or 0), g or ''
end
local idle, deadline = tonumber(meta[4] or 0), tonumber(meta[5] or 0)

-- deny is finish for a commit that may not be written. One that was sent before may have been written, unless all
-- commits since the open are in sight: tags goes back three.
local function deny(word)
  local base = string.match(expected, '[^.]+$')
  local in_sight = version == expected or base and string.find(tags, base, 1, true) or not base and counter <= 4
  return finish(again ~= '' and not in_sight and 'unknown' or word)
end

if newest == tag then -- our own retry: the record tells what was written, and when
  local registered = node == '' and 1 or register(record, copies, node)
  local expiry = slide(record, now, idle, deadline)
  return finish('ok', version, now, expiry, registered, redis.call('HGETALL', record))
end
if string.find(tags, tag, 1, true) then return finish('done') end

if mode == 'take' then
  if version and version ~= expected then return deny('conflict') end
  mode = 'remove'
end
if mode == 'remove' then
  if version and ARGV[18] ~= '' and (meta[8] or '') ~= ARGV[18] then return finish('conflict') end
  if version then
    bury(record, meta[11], now, ARGV[20])
    invalidate(copies, node, node_prefix, everybody, string.format('i%s %.0f', id, counter))
  end
  if token ~= '' or version then wake(lock, queue, node_prefix) end
  return {'ok', 0, '', now, 0, 1}
end
if mode == 'create' then
  if version then return deny('exists') end
  if meta[10] then return finish('removed') end
elseif not version then
  return finish('removed')
elseif newest == '' or not (idle and deadline and meta[3]) then
  return finish('corrupt')
else
  if token ~= '' and holder and holder ~= token then return deny('lost') end
  local same = version == expected
  if mode == 'keys' and not same then
    same = (meta[8] or '') == ARGV[18] and (ARGV[19] == '' or (meta[9] or '') == ARGV[19])
  end
  if not same then return deny('conflict') end
end

-- The four lists.
local at = 21
local function list(width)
  local n, first = tonumber(ARGV[at]), at + 1
  at = first + n * width
  return n, first
end
local metas, meta_at = list(2)
local sets, set_at = list(3)
local dels, del_at = list(1)
local checks, check_at = list(2)
if mode == 'keys' and version ~= expected then
  for i = check_at, check_at + 2 * checks - 1, 2 do
    local value = redis.call('HGET', record, '.' .. ARGV[i])
    if (value and string.match(value, '^[^:]*') or '') ~= ARGV[i + 1] then
      return deny('conflict')
    end
  end
end

local count = string.format('%.0f', counter + 1)
local stamp = count .. '.' .. string.sub(tag, 1, 4)
local whole = (mode ~= 'keys' or version == expected) and 1 or 0
if lifetime ~= '' then deadline = tonumber(lifetime) > 0 and now + tonumber(lifetime) or 0 end
local fields = {'v', count .. '.' .. tag, 't', recent(newest, tags),
  'n', whole == 1 and node or '', 'x', string.format('%.0f', deadline)}
local function put(name, value) fields[#fields + 1] = name; fields[#fields + 1] = value end
local time = string.format('%.0f', now)
if mode == 'create' then put('c', time); put('r', time); put('s', time) end
if mode == 'create' or rule == 'R' or ARGV[16] ~= '' then put('e', stamp) end
if mode == 'create' or ARGV[17] ~= '' then put('k', stamp) end
if rule ~= '' then
  put('s', time)
  if rule == 'R' then put('r', time) end
  put('p', replace(meta[7] or '', meta[3], rule, now + tonumber(ARGV[14]), now))
end
for i = meta_at, meta_at + 2 * metas - 1, 2 do
  put(ARGV[i], ARGV[i + 1])
  if ARGV[i] == 'i' then idle = tonumber(ARGV[i + 1]) end
end
for i = set_at, set_at + 3 * sets - 1, 3 do
  local ends = ARGV[i + 1] ~= '' and string.format('%.0f', now + tonumber(ARGV[i + 1])) or '0'
  put('.' .. ARGV[i], stamp .. ':' .. ends .. ':' .. ARGV[i + 2])
end
for i = 1, #fields, 1000 do -- unpack has a limit
  redis.call('HSET', record, unpack(fields, i, math.min(i + 999, #fields)))
end
for i = del_at, del_at + dels - 1 do redis.call('HDEL', record, '.' .. ARGV[i]) end

local expiry = slide(record, now, idle, deadline)
if idle == 0 and expiry > 0 then redis.call('PEXPIREAT', record, string.format('%.0f', expiry)) end
if expiry == 0 then redis.call('PERSIST', record) end
invalidate(copies, node, node_prefix, everybody, 'i' .. id .. ' ' .. count)
return finish('ok', count .. '.' .. tag, now, expiry, whole)
