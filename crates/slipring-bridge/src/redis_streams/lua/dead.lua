#!lua
-- Moves an entry to where dead letters are, in one step. KEYS: the stream, that of the dead letters. ARGV: the group,
-- the id, `1` if it is to be deleted where no other group wants it, the name of the field for the reason, the reason.
local stream, dead = KEYS[1], KEYS[2]
local group, id = ARGV[1], ARGV[2]
if #redis.call('XPENDING', stream, group, id, id, 1) == 0 then
  return 0
end
local fields = {}
local entry = redis.call('XRANGE', stream, id, id)[1]
if entry then
  fields = entry[2]
end
for _, text in ipairs({ ARGV[4], ARGV[5], 'slipring-entry', id, 'slipring-group', group }) do
  fields[#fields + 1] = text
end
redis.call('XADD', dead, '*', unpack(fields))
redis.call('XACK', stream, group, id)
if ARGV[3] == '1' and #redis.call('XINFO', 'GROUPS', stream) == 1 then
  redis.call('XDEL', stream, id)
end
return 1
