-- Has the server forget events after a time, or not any more. ARGV[3]: the time in milliseconds, or nothing.
-- What is there already goes when what comes now would.
redis.call('HSET', P .. 'meta', 'expire', ARGV[3])
if ARGV[3] == '' then
  return 0
end
local index = living()
local start = now()
local expire = start + math.ceil(tonumber(ARGV[3]) / 24) + tonumber(ARGV[3])
for _, segment in ipairs(redis.call('ZRANGE', P .. 'segments', index, -1)) do
  local key = P .. 'seg:' .. segment
  local seg = redis.call('HMGET', key, 'expire', 'life')
  if seg[2] ~= ARGV[3] and (not seg[1] or tonumber(seg[1]) > expire) then
    redis.call('HSET', key, 'expire', text(expire), 'start', text(start), 'life', ARGV[3])
    for _, stream in ipairs(redis.call('SMEMBERS', P .. 'streams:' .. segment)) do
      redis.call('PEXPIREAT', P .. 'stream:' .. stream, text(expire))
    end
    for _, part in ipairs({ 'log:', 'index:', 'streams:' }) do
      redis.call('PEXPIREAT', P .. part .. segment, text(expire))
    end
  end
end
return 0
