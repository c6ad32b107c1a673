-- What every script begins with. ARGV: the prefix of the store's keys; its source and how many commits it has had at
-- least; then what the script asks for.
-- Positions are numbers here and exact up to 2^53. They become text by `text` alone: `..` and `tostring` would write
-- those from 10^14 on with an exponent.
local P = ARGV[1]
local meta = redis.call('HMGET', P .. 'meta', 'source', 'end', 'commits', 'expire', 'bytes')
local source, seen = string.match(ARGV[2], '^(%d+) (%d+)$')
if meta[1] ~= source then
  return redis.error_reply('SLIPGONE the server has lost it, or has another in its place')
end
if (tonumber(meta[3]) or 0) < tonumber(seen) then
  return redis.error_reply(
    'SLIPGONE the server has gone back from ' .. seen .. ' commits to ' .. meta[3] .. ': the last ones are lost'
  )
end
-- The position that the next event gets.
local stop = tonumber(meta[2])

local function text(number)
  return string.format('%.0f', number)
end

local function damaged(place, problem)
  error({ err = 'SLIPDAMAGED ' .. place .. ': ' .. problem })
end

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Whether the server has let a segment expire.
local function gone(segment)
  if redis.call('EXISTS', P .. 'log:' .. segment) == 1 then
    return false
  end
  local expire = redis.call('HGET', P .. 'seg:' .. segment, 'expire')
  if expire and now() >= tonumber(expire) then
    return true
  end
  damaged('the segment of event ' .. segment, 'it is not there, and nobody removed it: does the server evict keys?')
end

local function segment_at(index)
  return redis.call('ZRANGE', P .. 'segments', index, index)[1]
end

-- The index of the first segment that has not expired, and how many segments there are: those that have expired are
-- before all others, so that halving finds it.
local function living()
  local count = redis.call('ZCARD', P .. 'segments')
  if count == 0 or not gone(segment_at(0)) then
    return 0, count
  end
  local low, high = 1, count
  while low < high do
    local middle = math.floor((low + high) / 2)
    if gone(segment_at(middle)) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low, count
end

-- The position of the first event that is still there.
local function first()
  local index, count = living()
  if index == count then
    return stop
  end
  return tonumber(segment_at(index))
end

-- The segment in which an event is that is there.
local function segment_of(position)
  local segment = redis.call('ZREVRANGEBYSCORE', P .. 'segments', text(position), '-inf', 'LIMIT', 0, 1)[1]
  if not segment then
    damaged('the list of segments', 'none holds event ' .. text(position))
  end
  gone(segment)
  return segment
end

-- The entry of the log in which an event is that is there.
local function entry_of(segment, position)
  local entry = redis.call('XREVRANGE', P .. 'log:' .. segment, text(position + 1) .. '-0', '-', 'COUNT', 1)[1]
  if not entry then
    damaged('the segment of event ' .. segment, 'event ' .. text(position) .. ' is not in it')
  end
  return entry
end

-- Takes segments that have expired, or the one that is asked for, out of the books.
local function forget(segment)
  local bytes = redis.call('HGET', P .. 'seg:' .. segment, 'bytes') or '0'
  redis.call('ZREM', P .. 'segments', segment)
  redis.call('UNLINK', P .. 'seg:' .. segment, P .. 'log:' .. segment, P .. 'index:' .. segment)
  redis.call('UNLINK', P .. 'streams:' .. segment)
  redis.call('HINCRBY', P .. 'meta', 'bytes', '-' .. bytes)
end

local function sweep(most)
  local index = living()
  for _ = 1, math.min(index, most) do
    forget(segment_at(0))
  end
end
