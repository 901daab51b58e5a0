-- Marks what became of a claimed event. The fields are described in claim.lua.
--
-- KEYS[1]  the delivery
-- ARGV     event's name, token, what (D|R|K|P: released),
--   D: event (first receipt, sequence, status), leg, its new state (empty: unchanged), how the event's status
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
  local in_hand, current = unpack(redis.call('HMGET', key, 'h', 's' .. leg), 1, 2)
  local held = in_hand and string.sub(in_hand, 1, #name + 1) == name .. ','
  event = string.format('%s,%d', event, now)
  if current and after ~= '' then
    local at, kind, received = string.match(after, '^(%-?%d*),(%l),(%d+)')
    if is_behind(at, kind, received, relations, current) then
      after = ''
    end
  end
  if held then
    if after == '' then
      redis.call('HSET', key, 'e' .. name, event, 'h', '')
    else
      redis.call('HSET', key, 'e' .. name, event, 'h', '', 's' .. leg, after)
    end
    return 1
  end
  local known, progress = unpack(redis.call('HMGET', key, 'e' .. name, 'p' .. name), 1, 2)
  if known and not progress then
    return 0
  end
  if after == '' then
    redis.call('HSET', key, 'e' .. name, event)
  else
    redis.call('HSET', key, 'e' .. name, event, 's' .. leg, after)
  end
  redis.call('HDEL', key, 'p' .. name, 'b' .. name, 't' .. name)
  -- A claim keeps the delivery for as long as it is remembered; what was lost since begins anew.
  if not known then
    redis.call('PEXPIRE', key, ttl)
  end
  return 1
end

local in_hand, displaced, course, trace = unpack(redis.call('HMGET', key, 'h', 'p' .. name, 'b', 't'), 1, 4)
local held, attempt, crashes, holder = string.match(in_hand or '', '^([^,]+),(%d+),%d*,(%d+),(%x+)$')
local ours = held == name
if not ours then
  attempt, crashes, holder = string.match(displaced or '', '^P,(%d+),%d*,(%d+),(%x+)$')
end
if holder ~= token then
  return 0
end
local deadline, rest = '', token
if what == 'R' then
  attempt, deadline, rest = ARGV[4], string.format('%d', now + ARGV[5]), ARGV[6]
elseif what == 'K' then
  rest = ARGV[4] .. ',' .. ARGV[5]
end
local progress = table.concat({ attempt, deadline, crashes, rest }, ',')
if not ours then
  redis.call('HSET', key, 'p' .. name, what .. ',' .. progress)
elseif what == 'P' then
  redis.call('HSET', key, 'h', name .. ',' .. progress)
else
  redis.call('HSET', key, 'p' .. name, what .. ',' .. progress, 'b' .. name, course, 'h', '')
  if tonumber(string.sub(course, 1, 1)) >= 2 then
    redis.call('HSET', key, 't' .. name, trace)
  end
end
return 1
