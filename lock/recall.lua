-- recall.lua: ask the holder of a lock once more to give it back, for a request that waits for it.
-- KEYS[1] lock   string: the holder's lock token
-- ARGV[1] node_prefix
-- returns 0
recall(KEYS[1], ARGV[1])
return 0
