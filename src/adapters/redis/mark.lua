-- Marks what became of a claimed event. The fields are described in claim.lua.
--
-- KEYS[1]  the delivery
-- ARGV     event's name, token, what (D|R|K|P: released),
--   D: event (first receipt, sequence, status), leg, where it stands now (nothing: where it stood), how the event's status
--      relates to the others, ttl ms
--   R: attempt, due in ms, reason
--   K: reason, receipt
--
-- A token that is no longer current changes nothing, except that D always wins: what is published is done, even if
-- the event was lost meanwhile.
local key, name, token, what = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if what == 'D' then
  local event, leg, after, relations, ttl = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
  local kept = redis.call('HMGET', key, 'e' .. name, 'p' .. name, 'h', 's' .. leg)
  local known, progress, in_hand, stands = unpack(kept, 1, 4)
  if known and not progress then
    return 0
  end
  event = event .. ',' .. string.format('%.0f', now)
  if stands and after ~= '' then
    local at, kind, received = string.match(after, '^(%-?%d*),(%l),(%d+)')
    if is_behind(at, kind, received, relations, stands) then
      after = ''
    end
  end
  if after == '' then
    redis.call('HSET', key, 'e' .. name, event)
  else
    redis.call('HSET', key, 'e' .. name, event, 's' .. leg, after)
  end
  if in_hand and string.sub(in_hand, 1, #name + 1) == name .. ',' then
    redis.call('HDEL', key, 'p' .. name, 'b' .. name, 't' .. name, 'h')
  else
    redis.call('HDEL', key, 'p' .. name, 'b' .. name, 't' .. name)
  end
  -- A claim keeps the delivery for as long as it is remembered; what was lost since begins anew.
  if not known then
    redis.call('PEXPIRE', key, ttl)
  end
  return 1
end

local progress, in_hand = unpack(redis.call('HMGET', key, 'p' .. name, 'h'), 1, 2)
local state, attempt, deadline, crashes, holder =
  string.match(progress or '', '^(%u),(%d+),(%d*),(%d+),?(.*)$')
if state ~= 'P' or holder ~= token then
  return 0
end
local rest = token
deadline = ''
if what == 'R' then
  attempt, deadline, rest = ARGV[4], string.format('%.0f', now + ARGV[5]), ARGV[6]
elseif what == 'K' then
  rest = ARGV[4] .. ',' .. ARGV[5]
end
redis.call('HSET', key, 'p' .. name, table.concat({ what, attempt, deadline, crashes, rest }, ','))
if in_hand and string.sub(in_hand, 1, #name + 1) == name .. ',' then
  redis.call('HDEL', key, 'h')
end
return 1
