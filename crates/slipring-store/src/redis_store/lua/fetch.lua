-- The entries of the log in which events are, as many as go into about 1 MiB and at least one. What was removed is left
-- out. ARGV[3..]: the positions of the events, in order.
local begin = first()
local found, behind, bytes = {}, 0, 0
for i = 3, #ARGV do
  local position = tonumber(ARGV[i])
  if position >= begin and position >= behind then
    if bytes >= 1048576 then
      break
    end
    local entry = entry_of(segment_of(position), position)
    found[#found + 1] = entry
    behind = tonumber(string.match(entry[1], '^%d+')) - 1 + tonumber(entry[2][2])
    bytes = bytes + #entry[2][6]
  end
end
return { begin, stop, found }
