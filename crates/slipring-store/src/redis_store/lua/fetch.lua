-- The entries of the log in which events are, as many as go into about 1 MiB and at least one. What was removed is left
-- out. ARGV[3..]: the positions of the events, as they will be read.
local begin = first()
local found, ends, bytes, highest = {}, {}, 0, 0

local function is_found(position)
  if position >= highest then
    return false
  end
  for i = #found, 1, -1 do
    if position >= ends[i][1] and position < ends[i][2] then
      return true
    end
  end
  return false
end

for i = 3, #ARGV do
  local position = tonumber(ARGV[i])
  if position >= begin and not is_found(position) then
    if bytes >= 1048576 then
      break
    end
    local entry = entry_of(segment_of(position), position)
    local id = tonumber(string.match(entry[1], '^%d+'))
    found[#found + 1] = entry
    ends[#found] = { id - 1, id - 1 + tonumber(entry[2][2]) }
    highest = math.max(highest, ends[#found][2])
    bytes = bytes + #entry[2][6]
  end
end
return { begin, stop, found }
