-- Entries of the log, from the one on in which an event is; none if it was removed or is not there yet.
-- ARGV[3]: the position of the event.
local from = tonumber(ARGV[3])
local begin = first()
if from < begin or from >= stop then
  return { begin, stop, {} }
end
local segment = segment_of(from)
local seg = redis.call('HMGET', P .. 'seg:' .. segment, 'entries', 'bytes', 'largest')
local entries, bytes, largest = tonumber(seg[1]), tonumber(seg[2]), tonumber(seg[3])
-- About 1 MiB, and never more than 16 unless a single entry is.
local count = math.min(512, math.floor(1048576 * entries / bytes), math.floor(16777216 / largest))
local log, id = P .. 'log:' .. segment, text(from + 1) .. '-0'
local found = redis.call('XRANGE', log, id, '+', 'COUNT', math.max(1, count))
if not found[1] or found[1][1] ~= id then
  -- It is in the midst of an entry.
  id = entry_of(segment, from)[1]
  found = redis.call('XRANGE', log, id, '+', 'COUNT', math.max(1, count))
end
return { begin, stop, found }
