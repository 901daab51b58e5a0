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
local token, what, attempt, ttl, leg, after, state_ttl, most_legs, due, reason = unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- All fields but the tenth. Versions before this one wrote ten of them, twelve or thirteen.
local state, tried, deadline, crashes, holder, origin, sequence, before, failed, overtaken = string.match(
  redis.call('GET', KEYS[1]) or '|||||||||||||',
  '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*|[^|]*|[^|]*|[^|]*)|[^|]*|?([^|]*)|?([^|]*)|?([^|]*)|?(.*)'
)
local current = state == 'P' and holder == token
if state == 'D' or (what ~= 'D' and not current) then
  return 0
end
if what == 'released' then
  deadline = '0'
else
  state = what
end
if what == 'R' then
  tried, deadline = attempt, string.format('%.0f', now + due)
elseif what == 'D' then
  -- Only a repeat needs to know where the delivery stood before, and what is done is not repeated.
  before = ''
end
if reason ~= '' then
  failed = reason
end
local changed_at = string.format('%.0f', now)
local record = { state, tried, deadline, crashes, holder, origin, changed_at, sequence, before, failed, overtaken }
redis.call('SET', KEYS[1], table.concat(record, '|'), 'PX', ttl)

if what == 'D' and after ~= '' then
  local field = 's:' .. leg
  local stands, newer = redis.call('HGET', KEYS[2], field), false
  if stands then
    local event, received = age(stands)
    newer = is_newer(event, received, age(after))
  end
  -- Beside where each leg stands there are the sequence number, and what was claimed of each.
  local room = stands or redis.call('HLEN', KEYS[2]) <= 2 * most_legs
  -- The claim kept the state alive; what is new may be all there is, were the state lost since.
  if room and not newer and redis.call('HSET', KEYS[2], field, after) == 1 then
    redis.call('PEXPIRE', KEYS[2], state_ttl)
  end
end
return 1
