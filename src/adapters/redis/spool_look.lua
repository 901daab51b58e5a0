-- How many entries there are, their bytes, and for how long the oldest has been there.
--
-- KEYS[1]  the entries, a stream
-- KEYS[2]  their bytes
-- Answers { entries, bytes, the oldest one's age in ms }; of none, 0.
local count = redis.call('XLEN', KEYS[1])
if count == 0 then return { 0, 0, 0 } end
local time = redis.call('TIME')
local since = tonumber(string.match(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1], '^%d+'))
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return { count, tonumber(redis.call('GET', KEYS[2]) or '0'), math.max(now - since, 0) }
