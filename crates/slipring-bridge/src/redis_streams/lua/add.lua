#!lua
-- Appends events of one lane, each of them once, whoever sends them how often.
-- KEYS: the stream, the last sequence of each lane. ARGV: the lane; 1 if the first event may begin it, 2 if it may follow
-- others that are lost; how many entries and how many milliseconds are kept (-1 for all); 1 if also what no group has
-- acknowledged goes; the sequence before the first event, if there was one. Then groups of events that have the same
-- fields: how many events, how many fields, for each field `=` with its name and value, if all of them have that one, or
-- `?` with its name, and then for each event the values of these. Of a lane, the first of them begins with its sequence,
-- and each event follows the one before it. Sequences are texts: numbers are exact up to 2^53 only.
local ARGV, stream, lanes, append = ARGV, KEYS[1], KEYS[2], redis.pcall
local lane, begins = ARGV[1], ARGV[2]
local most, age, unread = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local previous = ARGV[6]
local high = lane ~= '' and redis.call('HGET', lanes, lane)
local problem, added, last

local function is_behind(a, b)
  return #a > #b or (#a == #b and a > b)
end

local function sequence_at(at)
  return string.match(ARGV[at], '^%d+')
end

-- Whether those that are there already are over: all that come now follow one that is there.
local is_over = lane == ''
if not is_over and not high then
  is_over = true
  if begins == '0' and previous ~= '' then
    problem = 'SLIPBEHIND none of lane ' .. lane .. ' is there, and ' .. previous .. ' should be'
  end
elseif not is_over and begins ~= '2' and previous ~= '' and is_behind(previous, high) then
  problem = 'SLIPBEHIND of lane ' .. lane .. ' it has ' .. high .. ' as the last, and ' .. previous .. ' should be'
end

local at, size = 7, #ARGV
while at <= size and not problem do
  local count, fields = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local call, slots, wide = { 'XADD', stream, '*' }, {}, 0
  at = at + 2
  for field = 1, fields do
    local slot = 2 * field + 2
    call[slot] = ARGV[at + 1]
    if ARGV[at] == '=' then
      call[slot + 1] = ARGV[at + 2]
      at = at + 3
    else
      wide = wide + 1
      slots[wide] = slot + 1
      at = at + 2
    end
  end
  for _ = 1, count do
    is_over = is_over or is_behind(sequence_at(at), high)
    if is_over then
      for value = 1, wide do
        call[slots[value]] = ARGV[at + value - 1]
      end
      local answer = append(unpack(call, 1, 2 * fields + 3))
      if type(answer) == 'table' and answer.err then
        problem = answer.err
        if string.find(problem, 'too large', 1, true) then
          problem = 'SLIPLARGE ' .. (lane ~= '' and sequence_at(at) or '') .. ' ' .. problem
        end
        break
      end
      added, last = (added or 0) + 1, at
    end
    at = at + wide
  end
end
if last and lane ~= '' then
  redis.call('HSET', lanes, lane, sequence_at(last))
end
if problem then
  return { err = problem }
end
if not added or (most < 0 and age < 0) then
  return added or 0
end

local function less(a, b)
  local am, as = string.match(a, '(%d+)-(%d+)')
  local bm, bs = string.match(b, '(%d+)-(%d+)')
  am, as, bm, bs = tonumber(am), tonumber(as), tonumber(bm), tonumber(bs)
  return am < bm or (am == bm and as < bs)
end

-- What is before this has been acknowledged by all groups.
local bound
if not unread then
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local name, last
    for field = 1, #group, 2 do
      if group[field] == 'name' then
        name = group[field + 1]
      elseif group[field] == 'last-delivered-id' then
        last = group[field + 1]
      end
    end
    local pending = redis.call('XPENDING', stream, name)
    if pending[1] > 0 then
      last = pending[2]
    end
    if not bound or less(last, bound) then
      bound = last
    end
  end
  if not bound then
    return added
  end
end
if age >= 0 then
  local time = redis.call('TIME')
  local old = string.format('%.0f-0', math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - age))
  if bound and less(bound, old) then
    old = bound
  end
  redis.call('XTRIM', stream, 'MINID', '~', old)
end
if most >= 0 then
  local excess = redis.call('XLEN', stream) - most
  if not bound then
    redis.call('XTRIM', stream, 'MAXLEN', '~', most)
  elseif excess > 0 then
    redis.call('XTRIM', stream, 'MINID', '~', bound, 'LIMIT', excess)
  end
end
return added
