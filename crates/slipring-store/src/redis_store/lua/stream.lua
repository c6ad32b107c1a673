-- Where events of a stream are. ARGV[3..]: the stream, a version, how many at most.
-- Answers the version of the first that is there, that of the next to come, and positions.
local list = P .. 'stream:' .. ARGV[3]
local from, count = tonumber(ARGV[4]), tonumber(ARGV[5])
local total = tonumber(redis.call('HGET', P .. 'versions', ARGV[3]) or '0')
local there = redis.call('LLEN', list)
local begin = first()
-- Those that have expired are still listed, before all others.
local low, high = 0, there
while low < high do
  local middle = math.floor((low + high) / 2)
  if tonumber(redis.call('LINDEX', list, middle)) < begin then
    low = middle + 1
  else
    high = middle
  end
end
local removed = total - there
if from < removed + low or from >= total then
  return { removed + low, total, {} }
end
local index = from - removed
return { removed + low, total, redis.call('LRANGE', list, text(index), text(index + count - 1)) }
