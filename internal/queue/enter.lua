-- enter.lua: take a lock, or queue for it if another token holds it. It is prepended, after queue.lua, to the scripts that
-- take a lock.

-- take takes a lock that is free or already ours, as redislock's Obtain does, and reports whether it did.
local function take(lock, token, ttl_ms)
  if redis.call('SET', lock, token, 'NX', 'PX', ttl_ms) then return true end
  if redis.call('GET', lock) ~= token then return false end
  redis.call('PEXPIRE', lock, ttl_ms)
  return true
end

-- enter tries to take the lock for a token, and queues the token otherwise.
-- waited: this token was queued before. max: how many may wait. queue_ms: the life of the queue. ttl_ms: that of the lock.
-- returns 'held' | 'first' in the queue or 'queued' behind others, ms until the lock expires | 'full'
local function enter(lock, queue, node_prefix, token, waited, max, queue_ms, grant_ms, ttl_ms)
  local ours = take(lock, token, ttl_ms)
  local length = redis.call('LLEN', queue)
  if ours and length == 0 then return 'held', 0 end
  local position = redis.call('LPOS', queue, token)
  if ours then
    if position == 0 then
      redis.call('LPOP', queue)
      return 'held', 0
    end
    -- A grant takes the token off the queue. So a waiter that is no longer there was granted the lock; one that is
    -- still there, or a newcomer, took it out of turn, after its holder had died, and gives way.
    if waited and not position then return 'held', 0 end
  end
  if not position then
    if length >= max and not waited then
      if ours then pass(lock, queue, node_prefix, grant_ms) end
      return 'full', 0
    end
    redis.call('RPUSH', queue, token)
    position = length
  end
  redis.call('PEXPIRE', queue, queue_ms)
  if ours then
    pass(lock, queue, node_prefix, grant_ms)
  elseif position == 0 then
    recall(lock, node_prefix)
  end
  return position == 0 and 'first' or 'queued', redis.call('PTTL', lock)
end
