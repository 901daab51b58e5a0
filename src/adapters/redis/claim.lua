-- Claims an event, or says why not: the table of domain/claim.rs and the record of domain/delivery_record.rs, which have
-- the reasons. docs/ARCHITECTURE.md, "The ledger on Redis", lists the fields.
--
-- KEYS[1]  the delivery, a hash of
--   n        the last sequence number
--   s<leg>   the leg's state: moment, terminal, digests             c<leg>  the furthest moment claimed of it
--   h        the claim in hand: event's name, attempt, deadline ms (none: released), crashes, token; empty: none
--   b        what the update in hand says of the course: overtaken (1) and traced (2) added up, where the leg stood
--   t        the traceparent of its first receipt, if it was traced
--   w        of the copies that wait behind it, the one received first: its receipt, ms until which it is waited for
--   e<name>  an event: first receipt, sequence, status; once done, when
--   p<name>  how far an event has got that is neither in hand nor done: state (P|R|K), attempt, deadline ms, crashes, then
--            P (its lease ran out, and another was claimed): token, R: reason, K: reason, receipt of the parked copy
--   b<name>, t<name>  as b and t, for an event that has a p
--   i<id>    the content first seen under a provider's id            o<content>  the receipts that began an event
--   r<end>   a later receipt of an event, by its last two digits: the others, event's name. For an operator alone
-- ARGV     i<id> or o<content>, content, suffix of a forced replay, receipt, traceparent, attempt, crashes,
--          replay (1|0), token, lease ms, ttl ms, horizon ms, leg, then the moment: time µs, kind, receipt ms, status,
--          and how that status relates to the others
-- Answers 'D' (done), 'S' (stale), 'B,ms' (busy), 'W,ms' (behind another event) or, granted, "G,name,first receipt,
-- sequence,attempt,crashes,id reused,overtaken,traceparent,where the leg stood": one text, which costs less to read.
-- Numbers stay the text they came as unless something is reckoned: to write one costs Lua as much as a command. No value
-- is longer than 64 bytes, up to which Redis keeps a small hash compactly.
local marker, content, forced, receipt, traceparent, attempt, crashes, replay, token, lease, ttl, horizon, leg, at, kind,
  received, status, relations = unpack(ARGV)
local MOST_FIELDS, KEPT_EVENTS, KEPT_LEGS, MOST_ANCHORS = 1024, 256, 32, 64
local key, by_id = KEYS[1], string.byte(marker) == 105
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local name = by_id and string.sub(marker, 2) .. content .. forced or ''
local kept = redis.call('HMGET', key, 'n', 's' .. leg, 'c' .. leg, 'h', marker, 'e' .. name, 'p' .. name, 'w')
local last, current, claimed, in_hand, noted, event, progress, waiting = unpack(kept, 1, 8)

local held, held_progress
if in_hand and in_hand ~= '' then
  held, held_progress = string.match(in_hand, '^([^,]+),(.*)$')
end

local anchor, anchored = receipt, false
if not by_id then
  if noted then
    -- Whether the event that a receipt began is published, and the delivery has another status than the one asked for.
    local function is_past(other)
      if kind ~= 'a' or not current or string.match(current, '^[^,]*,%l,%d+,(%a)') == status then
        return false
      end
      local began = content .. '.' .. string.sub(other, 25) .. forced
      local known, unfinished = unpack(redis.call('HMGET', key, 'e' .. began, 'p' .. began), 1, 2)
      return known and not unfinished and held ~= began
    end
    local first
    for from = 1, #noted, 32 do
      local other = string.sub(noted, from, from + 31)
      if other == receipt then
        first, anchored = receipt, true
        break
      elseif not first and math.abs(tonumber(string.sub(other, 1, 12), 16) - received) <= tonumber(horizon)
        and not is_past(other) then
        first, anchored = other, true
      end
    end
    anchor = first or receipt
  end
  name = content .. '.' .. string.sub(anchor, 25) .. forced
  if anchored then
    event, progress = unpack(redis.call('HMGET', key, 'e' .. name, 'p' .. name), 1, 2)
  end
end

-- A receipt that began no event must lead to the one that it repeats. Of those with the same end the last is kept.
local function repeated()
  if string.sub(event, 1, 32) ~= receipt then
    redis.call('HSET', key, 'r' .. string.sub(receipt, 31), string.sub(receipt, 1, 30) .. name)
  end
end

if event then
  if held == name then
    progress = 'P,' .. held_progress
  elseif not progress then
    repeated()
    return 'D'
  end
  local state, tried, deadline, crashed, rest = string.match(progress, '^(%u),(%d+),(%d*),(%d+),(.*)$')
  if state == 'P' then
    local more = 0
    if rest ~= token and deadline ~= '' then
      local left = deadline - now
      if left > 0 and left <= tonumber(lease) then
        return string.format('B,%d', left)
      end
      more = 1
    end
    if replay == '0' then
      attempt, crashes = math.max(attempt, tried), math.max(crashes, crashed)
    end
    crashes = crashes + more
  elseif replay == '0' then
    if state == 'R' and tonumber(attempt) < tonumber(tried) then
      repeated()
      return 'S'
    elseif state == 'K' and string.sub(rest, -32) == receipt then
      return 'S'
    end
  end
end
local fields = {}
local function set(field, value)
  local count = #fields
  fields[count + 1], fields[count + 2] = field, value
end
-- Of those that wait, the one received first is next: it asks again within this time, or is not waited for.
local patience, first, waited_for = math.floor(lease / 16), nil, 0
if waiting then
  local deadline
  first, deadline = string.match(waiting, '^(%x+),(%d+)$')
  waited_for = deadline - now
  if waited_for <= 0 or waited_for > patience then
    first = nil
  end
end
if held and held ~= name then
  local deadline = string.match(held_progress, '^%d+,(%d+)')
  local left = deadline and deadline - now or 0
  if left > 0 and left <= tonumber(lease) then
    if not first or receipt <= first then
      redis.call('HSET', key, 'w', string.format('%s,%d', receipt, now + patience))
    end
    return string.format('W,%d', left)
  end
  -- Its worker did not finish. What it had in hand is put aside, for its copy to find.
  local course, trace = unpack(redis.call('HMGET', key, 'b', 't'), 1, 2)
  set('p' .. held, 'P,' .. held_progress)
  set('b' .. held, course)
  if tonumber(string.sub(course, 1, 1)) >= 2 then
    set('t' .. held, trace)
  end
end

-- A reply that was lost costs the one in hand nothing; what was released is in hand no more.
local is_in_hand = held == name and string.find(held_progress, '^%d+,%d')
if first and first < receipt and not is_in_hand then
  return string.format('W,%d', waited_for)
elseif first == receipt then
  redis.call('HDEL', key, 'w')
end

set('h', string.format('%s,%s,%d,%s,%s', name, attempt, now + lease, crashes, token))
local sequence, overtaken, before, id_reused = nil, 0, current or '', '0'
if event then
  anchor, sequence = string.match(event, '^(%x+),(%d+)')
  repeated()
  local own = held == name and '' or name
  local course, trace = unpack(redis.call('HMGET', key, 'b' .. own, 't' .. own), 1, 2)
  local flags
  flags, before = string.match(course, '^(%d),(.*)$')
  overtaken, traceparent = flags % 2, tonumber(flags) >= 2 and trace or ''
  if own ~= '' then
    set('b', course)
    redis.call('HDEL', key, 'p' .. name, 'b' .. name, 't' .. name)
    if traceparent ~= '' then
      set('t', traceparent)
    end
  end
else
  last = tonumber(last) or 0
  sequence = string.format('%d', last < now and now or last + 1)
  if claimed and is_behind(at, kind, received, relations, claimed) then
    overtaken = 1
  else
    if claimed and at == '' then
      at, kind = string.match(claimed, '^(%-?%d*),(%l)')
    end
    set('c' .. leg, at .. ',' .. kind .. ',' .. received .. ',' .. status)
  end
  set('n', sequence)
  set('e' .. name, anchor .. ',' .. sequence .. ',' .. status)
  if anchor ~= receipt then
    traceparent = ''
  end
  set('b', (traceparent == '' and overtaken or overtaken + 2) .. ',' .. before)
  if traceparent ~= '' then
    set('t', traceparent)
  end
end
if by_id then
  if not noted then
    set(marker, content)
  elseif noted ~= content then
    id_reused = '1'
  end
elseif not anchored then
  -- Bounded: the oldest go first.
  set(marker, string.sub(noted or '', -32 * (MOST_ANCHORS - 1)) .. receipt)
end
redis.call('HSET', key, unpack(fields))
-- Kept for its time and an eighth, and that is said every sixteenth: sequence numbers are times, or little ahead of them.
local period = ttl / 16
if event or not last or math.floor(last / period) ~= math.floor(now / period) then
  redis.call('PEXPIRE', key, math.ceil(ttl * 1.125))
end

-- A delivery may tell its position thousands of times: the oldest of what is done is forgotten. Looked at now and then.
if not event and now % 16 == 0 and redis.call('HLEN', key) > MOST_FIELDS then
  local all, value, done, legs, names, surplus = redis.call('HGETALL', key), {}, {}, {}, {}, {}
  for index = 1, #all, 2 do
    value[all[index]] = all[index + 1]
  end
  names[name] = true
  for field, text in pairs(value) do
    local of, rest = string.sub(field, 1, 1), string.sub(field, 2)
    if of == 'e' and value['p' .. rest] then
      names[rest] = true
    elseif of == 'e' and rest ~= name then
      done[#done + 1] = { rest, tonumber(string.match(text, ',(%d+)')) }
    elseif of == 'c' then
      legs[#legs + 1] = { rest, tonumber(string.match(text, ',%l,(%d+)')) }
    end
  end
  local function newest_first(one, other)
    return one[2] > other[2]
  end
  table.sort(done, newest_first)
  table.sort(legs, newest_first)
  for index, event in ipairs(done) do
    if index <= KEPT_EVENTS then
      names[event[1]] = true
    else
      surplus[#surplus + 1] = 'e' .. event[1]
    end
  end
  for index = KEPT_LEGS + 1, #legs do
    surplus[#surplus + 1] = 'c' .. legs[index][1]
    surplus[#surplus + 1] = 's' .. legs[index][1]
  end
  local known = {}
  for kept_name in pairs(names) do
    known['i' .. string.sub(kept_name, 1, 8)], known['o' .. string.sub(kept_name, 1, 16)] = true, true
  end
  for field in pairs(value) do
    local of = string.sub(field, 1, 1)
    if (of == 'i' or of == 'o') and not known[field] then
      surplus[#surplus + 1] = field
    elseif of == 'r' and not names[string.sub(value[field], 31)] then
      surplus[#surplus + 1] = field
    end
  end
  for from = 1, #surplus, 1000 do
    redis.call('HDEL', key, unpack(surplus, from, math.min(from + 999, #surplus)))
  end
end
return 'G,' .. name .. ',' .. anchor .. ',' .. sequence .. ',' .. attempt .. ',' .. crashes .. ',' .. id_reused .. ','
  .. overtaken .. ',' .. traceparent .. ',' .. before
