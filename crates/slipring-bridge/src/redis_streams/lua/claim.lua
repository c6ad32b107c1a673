#!lua flags=allow-oom
-- Takes over what consumers have that were not heard of for a time. KEYS: the stream. ARGV: the group, who takes it,
-- the time in milliseconds, how many at most, and for how long the taker is there. Answers how many others have something
-- and were not heard of since then, and entries, those of one consumer in the order of the stream; one that was deleted
-- has an id alone.
local stream, group, taker = KEYS[1], ARGV[1], ARGV[2]
local time, most, since = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local found, silent = {}, 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  local about = {}
  for field = 1, #consumer, 2 do
    about[consumer[field]] = consumer[field + 1]
  end
  local left = most - #found
  if about.name ~= taker and about.pending > 0 and about.idle >= since then
    silent = silent + 1
  end
  if left > 0 and about.name ~= taker and about.pending > 0 and about.idle >= time then
    local ids = {}
    for _, pending in ipairs(redis.call('XPENDING', stream, group, '-', '+', left, about.name)) do
      ids[#ids + 1] = pending[1]
    end
    local claimed = {}
    for _, entry in ipairs(redis.call('XCLAIM', stream, group, taker, 0, unpack(ids))) do
      claimed[entry[1]] = entry[2]
    end
    for _, id in ipairs(ids) do
      found[#found + 1] = { id, claimed[id] or false }
    end
  end
end
return { silent, found }
