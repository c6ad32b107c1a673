#!lua
-- Makes the store, or finds it.
-- ARGV: the prefix of its keys, the format, the source that a new one gets, or nothing if none is to be made. Answers its
-- source and its commits.
local P, format = ARGV[1], ARGV[2]
local kinds = {
  meta = 'hash', segments = 'zset', topics = 'zset', versions = 'hash', tokens = 'hash', recent = 'list',
  wake = 'stream',
}
for key, kind in pairs(kinds) do
  local found = redis.call('TYPE', P .. key).ok
  if found ~= 'none' and found ~= kind then
    return redis.error_reply('SLIPFORMAT key ' .. P .. key .. ' is a ' .. found .. ' in place of a ' .. kind)
  end
end
local found = redis.call('HMGET', P .. 'meta', 'format', 'source', 'commits')
if not found[2] and ARGV[3] == '' then
  return redis.error_reply('SLIPNONE there is none')
end
if not found[2] then
  redis.call('HSET', P .. 'meta', 'format', format, 'source', ARGV[3], 'end', '0', 'commits', '0', 'bytes', '0')
  return { ARGV[3], 0 }
end
if found[1] ~= format then
  return redis.error_reply(
    'SLIPFORMAT it has format ' .. tostring(found[1]) .. ', and this version reads format ' .. format
  )
end
return { found[2], tonumber(found[3]) }
