-- Records what became of a claimed event. The value's fields are described in claim.lua.
--
-- KEYS[1]  the event's key, as the claim gave it
-- ARGV     token, what (D|R|K|released), attempt (for R), ttl ms
--
-- A token that is no longer current changes nothing, except that D always wins: what is published is done, even if
-- the key was lost meanwhile.
local token, what, attempt, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local record = {}
for part in string.gmatch((redis.call('GET', KEYS[1]) or '|||||||||') .. '|', '([^|]*)|') do
  record[#record + 1] = part
end
local current = record[1] == 'P' and record[5] == token
if record[1] == 'D' or (what ~= 'D' and not current) then
  return 0
end
if what == 'released' then
  record[3] = 0
else
  record[1] = what
end
if what == 'R' then
  record[2] = attempt
end
record[10] = now
redis.call('SET', KEYS[1], table.concat(record, '|'), 'PX', ttl)
return 1
