-- commit.lua: compare, write one session, tell the copies, release the lock. All of it or nothing.
-- KEYS[1] record  hash   KEYS[2] lock  string   KEYS[3] queue  list
-- ARGV[1] node_prefix   ARGV[2] channel of all nodes   ARGV[3] grant ms   ARGV[4] '1' to register the node in the
--   directory of copies
-- ARGV[5] lock token ('' = none)   ARGV[6] ms to keep the lock for if nobody waits ('' = free it)   ARGV[7] id
-- ARGV[8] 'create' | 'whole' (nothing may have changed) | 'keys' (only what is listed)
-- ARGV[9] version at the open   ARGV[10] tag of this commit   ARGV[11] node of the caller ('' = it keeps no copies)
-- ARGV[12] again ('1' = this commit was sent before and not answered)
-- ARGV[13] how many values to set, and then for each: key, ms to live or '', data
-- then, unless that is all: rule for the replaced secret ('' = not rotated), ms until it ends, lifetime in ms from now
--   ('' = as it was, 0 = none), '1' if the user changed, '1' if keys were added or removed, stamp of e at the open,
--   stamp of k at the open ('' = need not match); and three lists, each with its length in front: meta fields (name,
--   value), keys to delete, stamps that must match (key, stamp or '')
-- returns {word, kept, version, now, expiry, whole, fields}: word 'ok', kept 1 if the lock is kept, whole 1 if nothing
--   else had changed since the open; fields the record as HGETALL gives it if this commit was written by an earlier try
-- | {'removed', kept, mark or '', now}: see bury
-- | {word, kept}: 'done' (this commit was written, and others after it), 'exists', 'lost' (the lock is
--   somebody else's), 'conflict', 'corrupt', or 'unknown' (sent before, and too many commits since to tell)
local record, lock, queue = KEYS[1], KEYS[2], KEYS[3]
local node_prefix, token, mode, expected, tag, node = ARGV[1], ARGV[5], ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local again, sets = ARGV[12] ~= '', tonumber(ARGV[13])
local rest = 14 + 3 * sets -- where the rare arguments begin
local now = clock()

local meta = redis.call('HMGET', record, 'v', 't', 'n', 'i', 'x', 'h')
local version, tags, copies = meta[1], meta[2] or '', meta[3] or ''
local idle, deadline = tonumber(meta[4] or 0), tonumber(meta[5] or 0)
local holder = token ~= '' and redis.call('GET', lock)
local rare = {} -- p e k z f
if ARGV[rest] then rare = redis.call('HMGET', record, 'p', 'e', 'k', 'z', 'f') end

local counter, newest = 0, ''
if version then
  local dot = string.find(version, '.', 1, true)
  counter = dot and tonumber(string.sub(version, 1, dot - 1)) or 0
  newest = counter > 0 and string.sub(version, dot + 1) or ''
end

-- finish releases the lock and answers.
local function finish(word, ...)
  local kept = 0
  if holder and holder == token then
    if ARGV[6] ~= '' and redis.pcall('LLEN', queue) == 0 then
      kept = redis.call('PEXPIRE', lock, ARGV[6])
    else
      pass(lock, queue, node_prefix, ARGV[3])
    end
  end
  return {word, kept, ...}
end

-- deny is finish for a commit that may not be written. One that was sent before may have been written, unless all
-- commits since the open are in sight: tags goes back three.
local function deny(word)
  local base = string.match(expected, '[^.]+$')
  local in_sight = version == expected or base and string.find(tags, base, 1, true) or not base and counter <= 4
  return finish(again and not in_sight and 'unknown' or word)
end

if again and newest == tag then -- the record tells what was written, and when
  local registered = ARGV[4] == '' and 1 or register(record, copies, node)
  local expiry = slide(record, now, idle, deadline)
  return finish('ok', version, now, expiry, registered, redis.call('HGETALL', record))
end
if again and string.find(tags, tag, 1, true) then return finish('done') end
if mode == 'create' then
  if version then return deny('exists') end
  if rare[4] then return finish('removed', rare[4], now) end
elseif not version then
  return finish('removed', redis.call('HGET', record, 'z') or '', now)
elseif newest == '' or not (idle and deadline and meta[6] and idle + deadline < 1e15) then -- beyond it expiry fails
  return finish('corrupt')
elseif holder and holder ~= token then
  return deny('lost')
elseif version ~= expected then
  local epoch, key_set = ARGV[rest + 5], ARGV[rest + 6]
  if mode ~= 'keys' or (rare[2] or '') ~= epoch or key_set ~= '' and (rare[3] or '') ~= key_set or rare[5] then
    return deny('conflict')
  end
end

local count = string.format('%.0f', counter + 1)
local stamp = count .. '.' .. string.sub(tag, 1, 4)
local whole = (mode ~= 'keys' or version == expected) and 1 or 0
local fields = {'v', count .. '.' .. tag, 't', recent(newest, tags)}
local function put(name, value) fields[#fields + 1] = name; fields[#fields + 1] = value end
local keeper = whole == 1 and ARGV[4] ~= '' and node or ''
if keeper ~= copies then put('n', keeper) end
for i = 14, rest - 1, 3 do
  local ends = ARGV[i + 1] ~= '' and string.format('%.0f', now + ARGV[i + 1]) or '0'
  put('.' .. ARGV[i], stamp .. ':' .. ends .. ':' .. ARGV[i + 2])
end

local deleted, timed = {}, false
if ARGV[rest] then
  local time, rule, lifetime, at = string.format('%.0f', now), ARGV[rest], ARGV[rest + 2], rest + 7
  local metas = tonumber(ARGV[at])
  for i = at + 1, at + 2 * metas, 2 do
    put(ARGV[i], ARGV[i + 1])
    if ARGV[i] == 'i' then idle, timed = tonumber(ARGV[i + 1]), true end
  end
  at = at + 1 + 2 * metas
  for i = at + 1, at + ARGV[at] do deleted[#deleted + 1] = '.' .. ARGV[i] end
  at = at + 1 + #deleted
  for i = at + 1, at + (whole == 0 and 2 * ARGV[at] or 0), 2 do
    local value = redis.call('HGET', record, '.' .. ARGV[i])
    if (value and string.match(value, '^[^:]*') or '') ~= ARGV[i + 1] then return deny('conflict') end
  end
  if lifetime ~= '' then
    deadline, timed = tonumber(lifetime) > 0 and now + lifetime or 0, true
    put('x', string.format('%.0f', deadline))
  end
  if mode == 'create' then put('c', time); put('s', time) end
  if mode == 'create' or rule == 'R' or ARGV[rest + 3] ~= '' then put('e', stamp); put('r', time) end
  if mode == 'create' or ARGV[rest + 4] ~= '' then put('k', stamp) end
  if rule ~= '' then
    put('s', time)
    put('p', replace(rare[1] or '', meta[6], rule, now + ARGV[rest + 1], now))
  end
end
for i = 1, #fields, 1000 do -- unpack has a limit
  redis.call('HSET', record, unpack(fields, i, math.min(i + 999, #fields)))
end
for _, field in ipairs(deleted) do redis.call('HDEL', record, field) end

local expiry = slide(record, now, idle, deadline)
if timed and expiry == 0 then
  redis.call('PERSIST', record)
elseif timed and idle == 0 then
  redis.call('PEXPIREAT', record, string.format('%.0f', expiry))
end
if copies ~= '' and copies ~= node then invalidate(copies, node, node_prefix, ARGV[2], 'i' .. ARGV[7] .. ' ' .. count) end
return finish('ok', count .. '.' .. tag, now, expiry, whole)
