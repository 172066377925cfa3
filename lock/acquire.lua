-- acquire.lua: take a lock, or queue for it.
-- KEYS[1] lock   string: the holder's lock token
-- KEYS[2] queue  list: the lock tokens that wait
-- ARGV    node_prefix, token, waited ('' or '1'), max waiters, queue ms, grant ms, lock ms: see enter
-- returns {'held', 0} | {'first' in the queue or 'queued', ms until the lock expires} | {'full', 0}
local word, ms = enter(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3] ~= '', tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7])
return {word, ms}
