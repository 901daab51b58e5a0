-- Whether a moment is less far on than another: the rule of domain/order.rs, where its reasons are.
--
-- The moment is given in parts (time in µs or nothing, its kind, receipt in ms, how its status relates to the
-- others); the other one as it is kept: "time,kind,receipt,status".
local TOLERANCE_MICROS, TOLERANCE_MILLIS = 120000000, 120000
local ALWAYS_AFTER, ALWAYS_BEFORE, USUALLY_AFTER, USUALLY_BEFORE = string.byte('<>()', 1, 4)

local function is_behind(at, kind, received, relations, other)
  local other_at, other_kind, other_received, status = string.match(other, '^(%-?%d*),(%l),(%d+),(%a)')
  local apart, received_apart = nil, received - other_received
  local asked = kind == 'a' or other_kind == 'a'
  if at ~= '' and other_at ~= '' then
    apart = at - other_at
    if math.abs(apart) > TOLERANCE_MICROS and not asked then
      return apart < 0
    end
  end
  local relation = string.byte(relations, string.byte(status) - 64)
  if relation == ALWAYS_AFTER or relation == ALWAYS_BEFORE then
    return relation == ALWAYS_BEFORE
  end
  if apart and apart ~= 0 and (asked or kind == other_kind) then
    return apart < 0
  end
  local usual = relation == USUALLY_AFTER or relation == USUALLY_BEFORE
  if usual and (apart or math.abs(received_apart) <= TOLERANCE_MILLIS) then
    return relation == USUALLY_BEFORE
  end
  return received_apart < 0
end

