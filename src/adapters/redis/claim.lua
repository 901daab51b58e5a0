-- Claims an event, or says who has it. One atomic step; the rules are design section 5's table.
--
-- KEYS[1]  the event's key; of an event known by content alone, the stem of its occurrences' keys
-- KEYS[2]  with a provider's id: the first content seen under it; without: the occurrences ("anchors")
-- KEYS[3]  the delivery's state: a hash of its last sequence number ("n"), of where each leg stands ("s:<leg>"), and of
--          the age of the newest that was ever claimed of it ("c:<leg>")
-- ARGV     by_id (1|0), content, receipt, received_at ms, traceparent, attempt, crashes,
--          replay ("" | "normal" | "force:<id>"), token, lease ms, ttl ms, horizon ms, leg, state ttl ms,
--          event time µs ("": the provider does not say), most legs
--
-- An event's value is fourteen fields joined by "|", which `record.rs` reads too:
--   state (P|R|D|K), attempt, deadline ms (P: of the lease, 0: let go; R: when the copy comes back), crashes, token,
--   first receipt, its received_at ms, its traceparent, receipt of the copy that holds or held the claim,
--   changed_at ms, sequence number, where the leg stood when the event was first claimed (nothing: nowhere yet),
--   why it last failed (nothing: it never did), whether a newer one of its leg had been claimed before (1|0)
-- Answers { 'D' } (done), { 'S' } (stale), { 'B', ms left of the lease } (busy), or { 'G', key, whether the id was used
-- for other content before (1|0), the value as it is now } (granted): one text, which costs less to read than its fields.
-- The occurrence's key is made here, from KEYS[1]: it shares KEYS[1]'s hash tag, so it is in the same slot.
-- Numbers stay the text they came as unless something is reckoned: to write one costs Lua as much as a command.
local by_id, content, receipt, received_at, traceparent, attempt, crashes, replay, token, lease, ttl, horizon, leg,
  state_ttl, event_time, most_legs = unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local changed_at = string.format('%.0f', now)
local key, id_reused, sequence, before, reason, overtaken = KEYS[1], 0, nil, '', '', '0'
local origin = { receipt, received_at, traceparent }

if by_id == '1' then
  local first = redis.call('SET', KEYS[2], content, 'NX', 'GET', 'PX', ttl)
  if first and first ~= content then
    id_reused = 1
  end
else
  -- A receipt that is an anchor belongs to itself; one within the horizon of an anchor, either side, to the first
  -- such there was; any other becomes an anchor. Not to the nearest: a later anchor could be nearer, and a copy that
  -- alone carries one event on would be taken for another.
  local anchors = redis.call('GET', KEYS[2]) or ''
  local mine, first, kept = nil, nil, {}
  for other, at in string.gmatch(anchors, '([^,]+)@(%-?%d+)') do
    local apart = math.abs(tonumber(at) - tonumber(received_at))
    if other == receipt then
      mine = other
    elseif not first and apart <= tonumber(horizon) then
      first = other
      origin = { other, at, '' }
    end
    kept[#kept + 1] = other .. '@' .. at
  end
  if mine then
    origin = { receipt, received_at, traceparent }
  end
  local anchor = mine or first
  if not anchor then
    anchor = receipt
    kept[#kept + 1] = receipt .. '@' .. received_at
    -- Bounded: the oldest go first.
    local from = math.max(1, #kept - 63)
    redis.call('SET', KEYS[2], table.concat(kept, ',', from), 'PX', ttl)
  end
  key = KEYS[1] .. ':' .. anchor
end
if string.sub(replay, 1, 6) == 'force:' then
  key = key .. ':' .. replay
end

local value = redis.call('GET', key)
if value then
  local old = {}
  for field in string.gmatch(value .. '|', '([^|]*)|') do
    old[#old + 1] = field
  end
  local state, old_attempt, deadline, old_crashes = old[1], tonumber(old[2]), tonumber(old[3]), tonumber(old[4])
  if state == 'D' then
    return { 'D' }
  elseif state == 'P' then
    if old[5] ~= token and deadline > now then
      return { 'B', deadline - now }
    end
    if replay == '' then
      crashes = math.max(crashes, old_crashes)
    end
    -- Ours (the reply was lost), or let go (deadline 0): no crash. Else its holder did not come back.
    if old[5] ~= token and deadline > 0 then
      crashes = crashes + 1
    end
    if replay == '' then
      attempt = math.max(attempt, old_attempt)
    end
  elseif state == 'R' then
    if replay == '' and tonumber(attempt) < old_attempt then
      return { 'S' }
    end
  elseif state == 'K' then
    if replay == '' and old[9] == receipt then
      return { 'S' }
    end
  end
  -- Every repeat is published with the event's first receipt.
  if old[6] ~= '' then
    origin = { old[6], old[7], old[8] }
  end
  -- And says of its delivery's course what the first said.
  if old[11] and old[11] ~= '' then
    sequence, before, overtaken = old[11], old[12], old[14] == '1' and '1' or '0'
  end
  reason = old[13] or ''
end

if not sequence then
  local stands, claimed = 's:' .. leg, 'c:' .. leg
  local kept = redis.call('HMGET', KEYS[3], 'n', stands, claimed)
  -- Never below the time in ms: were the state lost, numbers would still only grow.
  local last = tonumber(kept[1]) or 0
  sequence = last < now and changed_at or string.format('%.0f', last + 1)
  before = kept[2] or ''
  -- Another worker may be about to publish what it claimed: whatever is claimed later and is older comes late.
  local newest, received = kept[3], origin[2]
  if newest then
    local newest_event, newest_received = age(newest)
    if is_newer(newest_event, newest_received, event_time, received) then
      overtaken = '1'
    else
      event_time = event_time ~= '' and event_time or newest_event
      received = tonumber(received) > tonumber(newest_received) and received or newest_received
    end
  end
  -- Beside the sequence number there are two fields for each leg.
  local most_fields = 2 * most_legs + (kept[1] and 1 or 0)
  if overtaken == '0' and (newest or redis.call('HLEN', KEYS[3]) < most_fields) then
    redis.call('HSET', KEYS[3], 'n', sequence, claimed, event_time .. ',' .. received)
  else
    redis.call('HSET', KEYS[3], 'n', sequence)
  end
end
-- Each claim keeps the state alive, so that settling it need not.
redis.call('PEXPIRE', KEYS[3], state_ttl)

local deadline = string.format('%.0f', now + lease)
local record = table.concat({
  'P', attempt, deadline, crashes, token, origin[1], origin[2], origin[3], receipt, changed_at, sequence, before, reason,
  overtaken,
}, '|')
redis.call('SET', key, record, 'PX', ttl)
return { 'G', key, id_reused, record }
