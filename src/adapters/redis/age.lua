-- Which of two is more recent, as `Age::is_newer_than` has it. Both begin with
-- `event time in µs or nothing,receipt in ms`.
local function age(text)
  return string.match(text, '^(%-?%d*),(%-?%d+)')
end

local function is_newer(one, other)
  local one_event, one_received = age(one)
  local other_event, other_received = age(other)
  if one_event ~= '' and other_event ~= '' then
    return tonumber(one_event) > tonumber(other_event)
  end
  return tonumber(one_received) > tonumber(other_received)
end
