-- Removes the entry that the broker confirmed, and hands out the oldest one that is left, with the lease.
--
-- KEYS[1]  the entries, a stream
-- KEYS[2]  their bytes
-- KEYS[3]  which drainer has the lease
-- ARGV     the confirmed entry's id and receipt (empty: none), the drainer, its lease in ms (0: gives it back)
-- Answers { 0 } (another has the lease), { 1 } (nothing to hand out), or { 1, id, fields and values }.
--
-- The receipt is compared as well: after a restart that lost writes an id may be given again.
local id, receipt, drainer, lease = unpack(ARGV)
if id ~= '' then
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if entry and entry[2][4] == receipt then
    redis.call('XDEL', KEYS[1], id)
    local bytes = tonumber(redis.call('GET', KEYS[2]) or '0') - tonumber(entry[2][2])
    redis.call('SET', KEYS[2], string.format('%.0f', math.max(bytes, 0)))
  end
end
local holder = redis.call('GET', KEYS[3])
if lease == '0' then
  -- This user need not have the right to delete keys.
  if holder == drainer then redis.call('SET', KEYS[3], drainer, 'PX', 1) end
  return { 1 }
end
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not oldest then return { 1 } end
if holder and holder ~= drainer then return { 0 } end
redis.call('SET', KEYS[3], drainer, 'PX', lease)
return { 1, oldest[1], oldest[2] }
