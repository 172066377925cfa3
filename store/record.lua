-- record.lua: a session in one hash. It is prepended to the scripts that read or write records.
--
-- v version COUNTER.TAG            t tags of the commits before, newest first
-- c created, Unix ms               x absolute deadline, Unix ms, or 0    i idle timeout, ms, or 0
-- h hash of the secret             p replaced secrets, HASH:RULE:END separated by spaces
-- r last Rotate, Unix ms           s secret issued, Unix ms
-- e stamp of the last Rotate or change of user         k stamp of the last commit that added or removed a key
-- u user   m metadata of the client   b '1' if the cookie ends with the browser
-- n nodes that hold a copy, separated by spaces, or '*'
-- f format of the record, absent for 1: see Format in record.go
-- z removed, alone in the hash: r revoked, d destroyed, m.TAG merged into another by that commit. The session cannot be
--   created while it stands
-- .KEY  STAMP:EXPIRY:DATA, expiry in Unix ms or 0
--
-- A stamp is COUNTER and the first four characters of TAG of the commit that wrote it.
-- RULE of a replaced secret: R by Rotate, recognized but opens nothing; P by periodic rotation, opens the session until
-- END, and the client has not shown the new one yet; G the same once it has. P and G are remembered beyond END: a client
-- that shows one then has stolen it, or its new one was stolen.

local NODE_LENGTH, MAX_COPIES = 11, 64

-- newer reports whether a later release has written a record in a format that this one cannot read. Of such a record only
-- v, h and f mean what they mean here, and nothing may be written to it.
local function newer(format) return (tonumber(format or 1) or 1) > FORMAT end

-- clock is the server's time in Unix ms. No other clock decides about expiry.
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- rule_of returns the rule of a replaced secret, and whether its time is over. It returns nil if the secret is not one of
-- them, or if Rotate replaced it and its time is over.
local function rule_of(replaced, secret, now)
  for hash, rule, ends in string.gmatch(replaced, '([^: ]+):(%u):(%d+)') do
    local over = tonumber(ends) <= now
    if hash == secret and not (over and rule == 'R') then return rule, over end
  end
end

-- confirm is for a client that has shown the new secret: those that periodic rotation replaced end by the given time.
local function confirm(replaced, time)
  return (string.gsub(replaced, ':P:(%d+)', function(ends)
    return string.format(':G:%.0f', math.min(tonumber(ends), time))
  end))
end

-- replace returns the replaced secrets with one more in front, eight at most. A secret whose time is over stays in the list
-- only while Rotate has replaced neither it nor a later one.
local function replace(replaced, hash, rule, ends, now)
  local list = {string.format('%s:%s:%.0f', hash, rule, ends)}
  for h, r, e in string.gmatch(replaced, '([^: ]+):(%u):(%d+)') do
    -- What Rotate replaces opens nothing any more, whatever it was before.
    if (tonumber(e) > now or r ~= 'R' and rule ~= 'R') and h ~= hash and #list < 8 then
      if rule == 'R' then r, e = 'R', string.format('%.0f', math.min(tonumber(e), ends)) end
      list[#list + 1] = h .. ':' .. r .. ':' .. e
    end
  end
  return table.concat(list, ' ')
end

-- slide sets the record's expiry and returns it, or 0 for none.
local function slide(record, now, idle, deadline)
  local expiry = deadline
  if idle > 0 and (deadline == 0 or now + idle < deadline) then expiry = now + idle end
  if expiry > 0 and idle > 0 then redis.call('PEXPIREAT', record, string.format('%.0f', expiry)) end
  return expiry
end

-- bury deletes a record and leaves a mark for mark_ms. The mark tells a commit under way why the session has ended, and
-- keeps a creation that arrives late from bringing the session back.
local function bury(record, mark, mark_ms)
  redis.call('DEL', record)
  redis.call('HSET', record, 'z', mark)
  redis.call('PEXPIRE', record, mark_ms)
end

-- register puts a node into the directory of copies. It returns 0 if Redis has no memory for that: the node keeps no copy.
local function register(record, copies, node)
  if copies == '*' or string.find(copies, node, 1, true) then return 1 end
  copies = copies == '' and node or copies .. ' ' .. node
  if #copies > MAX_COPIES * (NODE_LENGTH + 1) then copies = '*' end
  local answer = redis.pcall('HSET', record, 'n', copies)
  return type(answer) == 'table' and answer.err and 0 or 1
end
