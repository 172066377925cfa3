-- entries.lua: read the index of a user. The time is that of the server which entered them; on its own, TIME would ask
-- any master of a cluster, whose clock may differ.
-- KEYS[1] index  sorted set: IDs by the time of their entry, Unix us
-- returns {now, {ID, time of entry, ...}}, oldest first
local t = redis.call('TIME')
return {t[1] * 1000000 + t[2], redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}
