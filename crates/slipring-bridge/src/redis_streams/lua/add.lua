#!lua
-- Appends events of one lane, each of them once, whoever sends them how often.
-- KEYS: the stream, the last sequence of each lane. ARGV: the lane; 1 if the first event may begin it, 2 if it may follow
-- others that are lost; how many entries and how many milliseconds are kept (-1 for all); 1 if also what no group has
-- acknowledged goes; then for each event its sequence, the one before it, how many texts follow, and those. Sequences
-- are numbers here and exact up to 2^53.
local stream, lanes = KEYS[1], KEYS[2]
local lane, begins = ARGV[1], tonumber(ARGV[2])
local most, age, unread = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local was = lane ~= '' and redis.call('HGET', lanes, lane)
local high, problem, added = was, nil, 0

local at = 6
while at <= #ARGV do
  local sequence, previous, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  if lane == '' or not high or tonumber(sequence) > tonumber(high) then
    if lane ~= '' and previous ~= '' then
      if not high and begins == 0 then
        problem = 'SLIPBEHIND none of lane ' .. lane .. ' is there, and ' .. previous .. ' should be'
      elseif high and begins < 2 and tonumber(previous) > tonumber(high) then
        problem = 'SLIPBEHIND of lane ' .. lane .. ' it has ' .. high .. ' as the last, and ' .. previous .. ' should be'
      end
    end
    if not problem then
      local answer = redis.pcall('XADD', stream, '*', unpack(ARGV, at + 3, at + 2 + count))
      if answer.err then
        problem = answer.err
        if string.find(problem, 'too large', 1, true) then
          problem = 'SLIPLARGE ' .. sequence .. ' ' .. problem
        end
      end
    end
    if problem then
      break
    end
    added, begins = added + 1, 0
    if lane ~= '' then
      high = sequence
    end
  end
  at = at + 3 + count
end
if high ~= was then
  redis.call('HSET', lanes, lane, high)
end
if problem then
  return { err = problem }
end
if added == 0 or (most < 0 and age < 0) then
  return added
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
