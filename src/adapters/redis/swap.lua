-- Puts a value in the place of another, if that is still there.
--
-- KEYS[1]  the cell
-- ARGV     whether one is expected (1|0), the one expected, the new one, ttl ms
-- Answers { 1 } (done), or { 0, now ms, the value there is or false }.
local expected, old, new, ttl = unpack(ARGV)
local current = redis.call('GET', KEYS[1])
if (expected == '1' and current == old) or (expected == '0' and not current) then
  redis.call('SET', KEYS[1], new, 'PX', ttl)
  return { 1 }
end
local time = redis.call('TIME')
return { 0, time[1] * 1000 + math.floor(time[2] / 1000), current }
