-- entries.lua: read a part of the index of a user, and the time of its server. The command TIME alone would go to any
-- master of a cluster, whose clock may differ.
-- KEYS[1] index  sorted set: IDs by the time of their entry, Unix us
-- ARGV[1] time of entry after which to begin ('-inf' = at the first one)   ARGV[2] how many at most
-- returns {now, {ID, time of entry, ...}}, oldest first
local t = redis.call('TIME')
local after = ARGV[1] == '-inf' and '-inf' or '(' .. ARGV[1]
return {t[1] * 1000000 + t[2], redis.call('ZRANGEBYSCORE', KEYS[1], after, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])}
