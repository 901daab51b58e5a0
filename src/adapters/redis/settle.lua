-- Records what became of a claimed event. The values are described in claim.lua.
--
-- KEYS[1]  the event's key, as the claim gave it
-- KEYS[2]  the delivery's state
-- ARGV     token, what (D|R|K|released), attempt (for R), ttl ms,
--          leg, where it stands now (for D; nothing: where it stood), state ttl ms, most legs,
--          due in ms (for R), why it failed (for R and K)
--
-- A token that is no longer current changes nothing, except that D always wins: what is published is done, even if
-- the key was lost meanwhile.
local token, what, attempt, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local leg, after, state_ttl, most_legs = 's:' .. ARGV[5], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local due, reason = tonumber(ARGV[9]), ARGV[10]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local record = {}
for part in string.gmatch((redis.call('GET', KEYS[1]) or '|||||||||||||') .. '|', '([^|]*)|') do
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
  record[2], record[3] = attempt, now + due
end
if reason ~= '' then
  record[13] = reason
end
record[10] = now
-- Only a repeat needs to know where the delivery stood before, and what is done is not repeated.
record[11] = record[11] or ''
record[12] = what ~= 'D' and record[12] or ''
record[13] = record[13] or ''
record[14] = record[14] or ''
redis.call('SET', KEYS[1], table.concat(record, '|'), 'PX', ttl)

if what == 'D' and after ~= '' then
  local stands = redis.call('HGET', KEYS[2], leg)
  local newer = stands and is_newer(stands, after)
  -- Beside where each leg stands there are the sequence number, and what was claimed of each.
  local room = stands or redis.call('HLEN', KEYS[2]) <= 2 * most_legs
  if room and not newer then
    redis.call('HSET', KEYS[2], leg, after)
    redis.call('PEXPIRE', KEYS[2], state_ttl)
  end
end
return 1
