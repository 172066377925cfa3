-- queue.lua: a lock and the queue of its waiters. It is prepended to every script of packages lock and store that touches
-- them, so that both follow the same rules.
--
-- lock     string: the lock token of the holder, as redislock keeps it
-- queue    list: the lock tokens that wait, the oldest first
-- token    NODE.RANDOM; NODE listens on the channel whose name is node_prefix .. NODE
-- grant_ms how long a waiter may take to answer when the lock was passed to it

-- publish sends a message. A user without rights on the channel sends none, and what the script has written still counts:
-- nothing that is correct depends on a message.
local function publish(channel, message) redis.pcall('PUBLISH', channel, message) end

-- grant notifies a waiter that it may hold the lock now.
local function grant(node_prefix, token) publish(node_prefix .. string.match(token, '^[^.]*'), 'g' .. token) end

-- pass gives the lock to the first waiter, or frees it. A key of another type is not a queue and is deleted: a commit that
-- has already written must not fail because of it.
local function pass(lock, queue, node_prefix, grant_ms)
  local first = redis.pcall('LPOP', queue)
  if type(first) ~= 'string' then
    redis.call('DEL', lock, queue)
    return
  end
  redis.call('SET', lock, first, 'PX', grant_ms)
  grant(node_prefix, first)
end

-- recall asks the node that holds the lock to release it soon, since it may be retaining the lock for its next request. The
-- message may get lost, so the first waiter recalls again.
local function recall(lock, node_prefix)
  local holder = redis.call('GET', lock)
  if holder then publish(node_prefix .. string.match(holder, '^[^.]*'), 'r' .. holder) end
end

-- leave takes a token out of the lock and the queue. returns 1 if it held the lock, else 0
local function leave(lock, queue, node_prefix, token, grant_ms)
  redis.pcall('LREM', queue, 0, token)
  if redis.call('GET', lock) ~= token then return 0 end
  pass(lock, queue, node_prefix, grant_ms)
  return 1
end

-- wake makes every waiter retry, and deletes the lock and the queue.
local function wake(lock, queue, node_prefix)
  for _, token in ipairs(redis.pcall('LRANGE', queue, 0, -1)) do
    grant(node_prefix, token)
  end
  redis.call('DEL', lock, queue)
end
