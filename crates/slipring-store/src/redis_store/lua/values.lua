-- Keys and values of a space, from a key on, as many as go into about 1 MiB and at least one, if there is one.
-- ARGV[3..]: the space, the key with `[` before it, or `(` to begin behind it.
local values = P .. 'values:' .. ARGV[3]
local found, bytes = {}, 0
for _, key in ipairs(redis.call('ZRANGEBYLEX', P .. 'keys:' .. ARGV[3], ARGV[4], '+', 'LIMIT', 0, 512)) do
  local value = redis.call('HGET', values, key)
  if not value then
    damaged('a value of ' .. ARGV[3], 'its key is there, and it is not')
  end
  found[#found + 1] = key
  found[#found + 1] = value
  bytes = bytes + #key + #value
  if bytes >= 1048576 then
    break
  end
end
return found
