-- leave.lua: release the lock and pass it to the next waiter, or stop waiting for it.
-- KEYS[1] lock   string: the holder's lock token
-- KEYS[2] queue  list: the lock tokens that wait
-- ARGV[1] node_prefix   ARGV[2] token   ARGV[3] grant ms
-- returns 1 the lock was ours | 0 it was not
return leave(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])
