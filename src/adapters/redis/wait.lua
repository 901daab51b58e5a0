-- Notes that an event is about to wait for a retry.
--
-- KEYS[1]  the index: "<delivery's key> <event's name>" by when the copy is due, in ms
-- ARGV     event, due in ms, how long a note outlives its time in ms
local event, due, grace = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - grace)
redis.call('ZADD', KEYS[1], now + due, event)
redis.call('PEXPIRE', KEYS[1], due + grace, 'GT')
redis.call('PEXPIRE', KEYS[1], due + grace, 'NX')
