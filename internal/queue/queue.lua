-- queue.lua: a lock and those who wait for it. It stands in front of every script that touches them, the lock's own
-- and the record's, so that both move the lock by the same rules.
--
-- lock     string: the lock token of the holder, as redislock keeps it
-- queue    list: the lock tokens that wait, the oldest first
-- token    NODE.RANDOM; NODE listens on the channel whose name is node_prefix .. NODE
-- grant_ms how long a waiter that was given the lock may take to show itself

-- pass gives the lock to the first waiter, or frees it.
local function pass(lock, queue, node_prefix, grant_ms)
  local first = redis.call('LPOP', queue)
  if not first then
    redis.call('DEL', lock)
    return
  end
  redis.call('SET', lock, first, 'PX', grant_ms)
  redis.call('PUBLISH', node_prefix .. string.match(first, '^[^.]*'), 'g' .. first)
end

-- enter says where a token stands after redislock has tried to take the lock for it, and queues it if need be.
-- waited: this token was told "queued" before. max: how many may wait. queue_ms: the life of the queue.
-- returns 'held' | 'queued', ms until the lock expires | 'again' (the lock is free by now) | 'full'
local function enter(lock, queue, node_prefix, token, waited, max, queue_ms, grant_ms)
  local holder = redis.call('GET', lock)
  if not holder then return 'again', 0 end
  local length = redis.call('LLEN', queue)
  if holder == token and length == 0 then return 'held', 0 end
  local place = redis.call('LPOS', queue, token)
  if holder == token then
    if place == 0 then
      redis.call('LPOP', queue)
      return 'held', 0
    end
    -- A grant takes the token off the queue. So a waiter that is no longer there was granted the lock; one that is
    -- still there, or a newcomer, took it out of turn, after its holder had died, and gives way.
    if waited and not place then return 'held', 0 end
  end
  if not place then
    if length >= max and not waited then
      if holder == token then pass(lock, queue, node_prefix, grant_ms) end
      return 'full', 0
    end
    redis.call('RPUSH', queue, token)
  end
  redis.call('PEXPIRE', queue, queue_ms)
  if holder == token then pass(lock, queue, node_prefix, grant_ms) end
  return 'queued', redis.call('PTTL', lock)
end

-- leave takes a token out of the lock and the queue. returns 1 if it held the lock, else 0
local function leave(lock, queue, node_prefix, token, grant_ms)
  redis.call('LREM', queue, 0, token)
  if redis.call('GET', lock) ~= token then return 0 end
  pass(lock, queue, node_prefix, grant_ms)
  return 1
end

-- wake tells every waiter to ask again, and forgets the lock and the queue.
local function wake(lock, queue, node_prefix)
  for _, token in ipairs(redis.call('LRANGE', queue, 0, -1)) do
    redis.call('PUBLISH', node_prefix .. string.match(token, '^[^.]*'), 'g' .. token)
  end
  redis.call('DEL', lock, queue)
end
