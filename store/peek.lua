-- peek.lua: read the metadata of a session without side effects. It is a script because a client may send plain reads to
-- Redis replicas.
-- KEYS[1] record  hash
-- ARGV    the fields
-- returns {PTTL, {value or nil, ...}} | {} when the key is not a record
local meta = redis.pcall('HMGET', KEYS[1], unpack(ARGV))
if meta.err then return {} end
return {redis.call('PTTL', KEYS[1]), meta}
