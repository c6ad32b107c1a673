#!lua flags=allow-oom
-- Acknowledges entries, and deletes them if no other group wants them. KEYS: the stream. ARGV: the group, `1` if they
-- are to be deleted, the ids.
local stream = KEYS[1]
local count = redis.call('XACK', stream, ARGV[1], unpack(ARGV, 3))
if ARGV[2] == '1' and #redis.call('XINFO', 'GROUPS', stream) == 1 then
  redis.call('XDEL', stream, unpack(ARGV, 3))
end
return count
