-- peek.lua: read what is known of a session, without its values and without a trace. A script, because a client may send
-- mere reads to replicas.
-- KEYS[1] record  hash
-- ARGV    the fields
-- returns {PTTL, {value or nil, ...}} | {} when the key is not a record
local meta = redis.pcall('HMGET', KEYS[1], unpack(ARGV))
if meta.err then return {} end
return {redis.call('PTTL', KEYS[1]), meta}
