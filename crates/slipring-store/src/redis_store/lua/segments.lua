-- What is known of segments, in order. ARGV[3]: the position from which on they begin.
-- Answers where the store begins and ends and its bytes; for each segment its first position, events, bytes, and its
-- first and last times.
local begin, found = first(), {}
local from = math.max(begin, tonumber(ARGV[3]))
for _, segment in ipairs(redis.call('ZRANGEBYSCORE', P .. 'segments', text(from), '+inf', 'LIMIT', 0, 256)) do
  local seg = redis.call('HMGET', P .. 'seg:' .. segment, 'events', 'bytes', 'min', 'max')
  found[#found + 1] = { segment, seg[1], seg[2], seg[3], seg[4] }
end
return { begin, stop, meta[5], found }
