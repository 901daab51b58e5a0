-- Adds an entry, if there is room.
--
-- KEYS[1]  the entries, a stream
-- KEYS[2]  their bytes
-- ARGV     most entries, most bytes, the entry's bytes, then its fields and values
-- Answers 1 (added) or 0 (full).
local size = tonumber(ARGV[3])
local count = redis.call('XLEN', KEYS[1])
local bytes = count > 0 and tonumber(redis.call('GET', KEYS[2]) or '0') or 0
if count >= tonumber(ARGV[1]) or bytes + size > tonumber(ARGV[2]) then return 0 end
redis.call('XADD', KEYS[1], '*', 'n', ARGV[3], unpack(ARGV, 4))
redis.call('SET', KEYS[2], string.format('%.0f', bytes + size))
return 1
