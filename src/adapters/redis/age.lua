-- Which of two is more recent, as `Age::is_newer_than` has it: each is an event time in µs ("": the provider does not
-- say) and a receipt in ms.
local function is_newer(event, received, other_event, other_received)
  if event ~= '' and other_event ~= '' then
    return tonumber(event) > tonumber(other_event)
  end
  return tonumber(received) > tonumber(other_received)
end

-- The two, of a text that begins with `event time,receipt`.
local function age(text)
  return string.match(text, '^([^,]*),([^,]*)')
end
