-- Removes the oldest segment, unless a checkpoint still has to come to one of its events.
-- ARGV[3..]: the first position of the segment, the space of checkpoints.
local segment, space = ARGV[3], ARGV[4]
sweep(64)
if segment_at(0) ~= segment or gone(segment) then
  return { 'other' }
end
local behind = tonumber(segment) + tonumber(redis.call('HGET', P .. 'seg:' .. segment, 'events'))
local least, holder
local checkpoints = redis.call('HGETALL', P .. 'values:' .. space)
for i = 1, #checkpoints, 2 do
  if #checkpoints[i + 1] ~= 8 then
    damaged('checkpoint ' .. checkpoints[i], 'it has ' .. #checkpoints[i + 1] .. ' bytes in place of 8')
  end
  local position = struct.unpack('>I8', checkpoints[i + 1])
  if not least or position < least then
    least, holder = position, checkpoints[i]
  end
end
if least and least < behind then
  return { 'held', holder }
end
for _, stream in ipairs(redis.call('SMEMBERS', P .. 'streams:' .. segment)) do
  local list = P .. 'stream:' .. stream
  local head = redis.call('LINDEX', list, 0)
  while head and tonumber(head) < behind do
    redis.call('LPOP', list)
    head = redis.call('LINDEX', list, 0)
  end
end
forget(segment)
return { 'gone', behind }
