-- A commit: all of it or nothing. Whatever can go wrong is found before the first write.
-- ARGV[3]: the request, in MessagePack; then the frames of each chunk.
local ask = cmsgpack.unpack(ARGV[3])
local token, horizon, keep, most = ask[1], ask[2], ask[3], ask[4]
local expected, expected_values, changes = ask[5], ask[6], ask[7]
local topics, streams, events, chunks = ask[8], ask[9], ask[10], ask[11]
local earliest, latest = ask[12], ask[13]
local commits = tonumber(meta[3])

-- The same commit, sent again because the answer to it was lost.
local said = redis.call('HGET', P .. 'tokens', token)
if said then
  local begin, behind = string.match(said, '^(%d+) (%d+)$')
  return { 'done', tonumber(begin), tonumber(behind), commits }
end
-- So many commits ago that its token may be forgotten.
if commits - horizon >= keep then
  return { 'stale', commits }
end

for i = 1, #expected, 2 do
  local found = redis.call('HGET', P .. 'versions', expected[i]) or '0'
  if found ~= expected[i + 1] then
    return { 'stream', (i - 1) / 2, found }
  end
end
for i = 1, #expected_values, 3 do
  local found = redis.call('HGET', P .. 'values:' .. expected_values[i], expected_values[i + 1])
  if found ~= expected_values[i + 2] then
    return { 'value', (i - 1) / 3, found }
  end
end
if #chunks == 0 and #changes == 0 then
  return { 'done', stop, stop, commits }
end

local function is(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then
    damaged('key ' .. key, 'it is a ' .. found .. ' in place of a ' .. kind)
  end
end

local function less(a, b)
  local a_high, a_low = struct.unpack('>I4I4', a)
  local b_high, b_low = struct.unpack('>I4I4', b)
  return a_high < b_high or (a_high == b_high and a_low < b_low)
end

-- A command with many arguments, in parts: the stack of Lua holds 8,000.
local function many(command, key, arguments)
  for i = 1, #arguments, 1000 do
    redis.call(command, key, unpack(arguments, i, math.min(i + 999, #arguments)))
  end
end

-- What is to be written of the events: entries of the log, of the index and of the streams.
local prefixes, versions, lists = {}, {}, {}
for i, topic in ipairs(topics) do
  prefixes[i] = string.char(#topic) .. topic
end
for i, stream in ipairs(streams) do
  is(P .. 'stream:' .. stream, 'list')
  versions[i] = tonumber(redis.call('HGET', P .. 'versions', stream) or '0')
  lists[i] = {}
end
local entries, members = {}, {}
local position, at, bytes, largest = stop, 1, 0, 0
for chunk = 1, #chunks, 2 do
  local begin, numbers = position, {}
  local frames = ARGV[4 + (chunk - 1) / 2]
  for _ = 1, chunks[chunk] do
    local topic, stream, place, time
    topic, stream, place, time, at = struct.unpack('<I4I4I4c8', events, at)
    members[#members + 1] = '0'
    members[#members + 1] = prefixes[topic] .. time .. struct.pack('>I8', position)
    if stream > 0 then
      numbers[#numbers + 1] = struct.pack('<I4I8', place, versions[stream])
      versions[stream] = versions[stream] + 1
      local list = lists[stream]
      list[#list + 1] = text(position)
    end
    position = position + 1
  end
  entries[#entries + 1] = {
    text(begin + 1) .. '-0', 'n', chunks[chunk], 'c', chunks[chunk + 1], 'b', frames, 'v', table.concat(numbers),
  }
  bytes = bytes + #frames
  largest = math.max(largest, #frames)
end
for i = 1, #changes, 4 do
  is(P .. 'values:' .. changes[i], 'hash')
  is(P .. 'keys:' .. changes[i], 'zset')
end

-- The segment that takes the events: the last one, unless it is full or of a time that is over.
local segment, expire
local function open_segment()
  local life = meta[4] or ''
  local time = now()
  local last = segment_at(-1)
  local least = 0
  if last then
    local seg = redis.call('HMGET', P .. 'seg:' .. last, 'events', 'life', 'start', 'expire')
    local room = tonumber(seg[1]) + position - stop <= most
    local is_open = life == '' or time < tonumber(seg[3]) + math.ceil(tonumber(life) / 24)
    if not gone(last) and room and is_open and seg[2] == life then
      segment, expire = last, seg[4]
      return
    end
    least = tonumber(seg[4] or '0')
  end
  segment = text(stop)
  local keys = { P .. 'seg:' .. segment, P .. 'log:' .. segment, P .. 'index:' .. segment, P .. 'streams:' .. segment }
  if redis.call('EXISTS', unpack(keys)) > 0 then
    damaged('the segment of event ' .. segment, 'there is one already')
  end
  sweep(64)
  redis.call('ZADD', P .. 'segments', segment, segment)
  redis.call(
    'HSET', keys[1], 'events', '0', 'entries', '0', 'bytes', '0', 'largest', '0', 'min', earliest, 'max', latest,
    'life', life, 'start', text(time)
  )
  if life ~= '' then
    -- Never before an older one, also if the clock of the server was set back.
    expire = text(math.max(least, time + math.ceil(tonumber(life) / 24) + tonumber(life)))
    redis.call('HSET', keys[1], 'expire', expire)
  end
end

local function append()
  open_segment()
  local log, index = P .. 'log:' .. segment, P .. 'index:' .. segment
  for _, entry in ipairs(entries) do
    redis.call('XADD', log, unpack(entry))
  end
  many('ZADD', index, members)
  for i, stream in ipairs(streams) do
    local list = P .. 'stream:' .. stream
    many('RPUSH', list, lists[i])
    redis.call('HSET', P .. 'versions', stream, text(versions[i]))
    redis.call('SADD', P .. 'streams:' .. segment, stream)
    if expire then
      redis.call('PEXPIREAT', list, expire)
    elseif meta[4] then
      redis.call('PERSIST', list)
    end
  end
  if expire then
    redis.call('PEXPIREAT', log, expire)
    redis.call('PEXPIREAT', index, expire)
    redis.call('PEXPIREAT', P .. 'streams:' .. segment, expire)
  end
  for _, topic in ipairs(topics) do
    redis.call('ZADD', P .. 'topics', '0', topic)
  end
  local key = P .. 'seg:' .. segment
  local seg = redis.call('HMGET', key, 'events', 'entries', 'bytes', 'largest', 'min', 'max')
  redis.call(
    'HSET', key, 'events', text(tonumber(seg[1]) + position - stop), 'entries', text(tonumber(seg[2]) + #entries),
    'bytes', text(tonumber(seg[3]) + bytes), 'largest', text(math.max(tonumber(seg[4]), largest)),
    'min', less(earliest, seg[5]) and earliest or seg[5], 'max', less(seg[6], latest) and latest or seg[6]
  )
  redis.call('HINCRBY', P .. 'meta', 'bytes', text(bytes))
end

if #entries > 0 then
  append()
end
for i = 1, #changes, 4 do
  local values, keys = P .. 'values:' .. changes[i], P .. 'keys:' .. changes[i]
  local value = changes[i + 2]
  if value then
    if changes[i + 3] == 1 then
      value = value .. struct.pack('>I8', stop)
    end
    redis.call('HSET', values, changes[i + 1], value)
    redis.call('ZADD', keys, '0', changes[i + 1])
  else
    redis.call('HDEL', values, changes[i + 1])
    redis.call('ZREM', keys, changes[i + 1])
  end
end

redis.call('HSET', P .. 'meta', 'end', text(position), 'commits', text(commits + 1))
redis.call('HSET', P .. 'tokens', token, text(stop) .. ' ' .. text(position))
if redis.call('RPUSH', P .. 'recent', token) > keep then
  redis.call('HDEL', P .. 'tokens', redis.call('LPOP', P .. 'recent'))
end
if position > stop then
  redis.call('XADD', P .. 'wake', 'MAXLEN', '1', text(position) .. '-0', 'e', '')
end
return { 'done', stop, position, commits + 1 }
