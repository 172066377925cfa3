-- commit.lua: compare, write one session, invalidate the copies, hand over the lock. All of it or nothing. It comes after
-- commit_args.lua, which lists ARGV, commit_verify.lua and commit_fields.lua.
-- KEYS[1] record  hash   KEYS[2] lock  string   KEYS[3] queue  list
-- returns {word, kept, version, now, expiry, whole, fields}: word 'ok', kept 1 if the lock is kept, whole 1 if nothing
--   else had changed since the open; fields the record as HGETALL gives it if this commit was written by an earlier try
-- | {'removed', kept, mark or '', now}: see bury
-- | {word, kept}: 'done' (this commit was written, and others after it), 'exists', 'lost' (another
--   token holds the lock), 'conflict', 'corrupt', or 'unknown' (sent before, and too many commits since to know)
local record, lock, queue = KEYS[1], KEYS[2], KEYS[3]
local c, now = arguments(ARGV), clock()
local r = found(record, lock, c)

-- finish releases the lock and answers.
local function finish(word, ...)
  local kept = 0
  if r.holder and r.holder == c.token then
    if c.keep_ms ~= '' and redis.pcall('LLEN', queue) == 0 then
      kept = redis.call('PEXPIRE', lock, c.keep_ms)
    else
      pass(lock, queue, c.node_prefix, c.grant_ms)
    end
  end
  return {word, kept, ...}
end

if c.again and r.newest == c.tag then -- the record has what was written, and when
  local registered = not c.register and 1 or register(record, r.copies, c.node)
  local expiry = slide(record, now, r.idle, r.deadline)
  return finish('ok', r.version, now, expiry, registered, redis.call('HGETALL', record))
end
local word, mark = refusal(record, c, r)
if mark then return finish(word, mark, now) end
if word then return finish(word) end

local count = string.format('%.0f', r.counter + 1)
local version, stamp = count .. '.' .. c.tag, count .. '.' .. string.sub(c.tag, 1, 4)
local whole = c.mode ~= 'keys' or r.version == c.expected
local timed = timing(c, r, now)
local list = fields(c, r, version, stamp, whole, now)
for i = 1, #list, 1000 do -- unpack has a limit
  redis.call('HSET', record, unpack(list, i, math.min(i + 999, #list)))
end
for _, key in ipairs(c.delete or {}) do redis.call('HDEL', record, '.' .. key) end

local expiry = slide(record, now, r.idle, r.deadline)
if timed and expiry == 0 then
  redis.call('PERSIST', record)
elseif timed and r.idle == 0 then
  redis.call('PEXPIREAT', record, string.format('%.0f', expiry))
end
if r.copies ~= '' and r.copies ~= c.node then
  invalidate(r.copies, c.node, c.node_prefix, c.all_nodes, c.id, count)
end
return finish('ok', version, now, expiry, whole and 1 or 0)
