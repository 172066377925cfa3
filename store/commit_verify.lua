-- commit_verify.lua: may a commit be written? It reads, and changes nothing.

-- found reads what a commit depends on: the record's metadata, and who holds the lock.
local function found(record, lock, c)
  local meta = redis.call('HMGET', record, 'v', 't', 'n', 'i', 'x', 'h')
  local r = {
    version = meta[1], tags = meta[2] or '', copies = meta[3] or '', idle = tonumber(meta[4] or 0),
    deadline = tonumber(meta[5] or 0), hash = meta[6], holder = c.token ~= '' and redis.call('GET', lock),
    counter = 0, newest = '',
  }
  if c.more then
    local more = redis.call('HMGET', record, 'p', 'e', 'k', 'z', 'f')
    r.replaced, r.epoch, r.key_set, r.mark, r.format = more[1] or '', more[2] or '', more[3] or '', more[4], more[5]
  end
  if r.version then
    local dot = string.find(r.version, '.', 1, true)
    r.counter = dot and tonumber(string.sub(r.version, 1, dot - 1)) or 0
    r.newest = r.counter > 0 and string.sub(r.version, dot + 1) or ''
  end
  return r
end

-- same reports whether all that the commit compares is as it was at the open, although the version has changed.
local function same(record, c, r)
  if c.mode ~= 'keys' or r.epoch ~= c.epoch or c.key_set ~= '' and r.key_set ~= c.key_set or newer(r.format) then return false end
  for i = 1, #c.checks, 2 do
    local value = redis.call('HGET', record, '.' .. c.checks[i])
    if (value and string.match(value, '^[^:]*') or '') ~= c.checks[i + 1] then return false end
  end
  return true
end

-- refusal returns why the commit may not be written, or nil; see commit.lua for the words. For 'removed' the mark follows.
local function refusal(record, c, r)
  -- A commit that was sent before may have been written, unless r.tags, which goes back three commits, covers all since
  -- the open.
  local function unless_written(word)
    local base = string.match(c.expected, '[^.]+$')
    local in_sight = r.version == c.expected or base and string.find(r.tags, base, 1, true) or not base and r.counter <= 4
    return c.again and not in_sight and 'unknown' or word
  end
  if c.again and string.find(r.tags, c.tag, 1, true) then return 'done' end
  if c.mode == 'create' then
    if r.version then return unless_written('exists') end
    if r.mark then return 'removed', r.mark end
  elseif not r.version then
    return 'removed', redis.call('HGET', record, 'z') or ''
  elseif r.newest == '' or not (r.idle and r.deadline and r.hash and r.idle + r.deadline < 1e15) then -- beyond it expiry fails
    return 'corrupt'
  elseif r.holder and r.holder ~= c.token then
    return unless_written('lost')
  elseif r.version ~= c.expected and not same(record, c, r) then
    return unless_written('conflict')
  end
end
