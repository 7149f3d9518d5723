-- Read counters, and whether what is asked fits: put behind what had the values.
--
-- Given    values: of the keys of the script; offset: those in front of the counters; purse: the
--          user's grants, false for none; limits: their JSON, as in a record
--          numbers, from position on, as doubles: n, the number of counters, then for each:
--          a b amount; then limits: index of counter, maximum (-1 for none), units needed, 1 if
--          it is enforced
-- Leaves   values: counters as they are now
--          readings, as doubles: used held first of each counter, as they were before this
--          request's own units; where grants or limits without room are among them, fits_at
--          granted of each limit stand behind
--          and what else is declared here:

local readings, count = '', nil
local counters_at          -- where the counters stand in the numbers
local left                 -- counters that buckets have left, if there are any
local exceeded, refused    -- a limit has no room; one that is enforced
local strange              -- a bucket is newer than now, or more is held than can be counted
local book, grants         -- if there are grants

count, position = unpacked('<d', numbers, position)
counters_at = position
for i = 1, count do
  local a, b, amount
  a, b, amount, position = unpacked('<ddd', numbers, position)
  local value = values[i + offset]
  if value then
    local used, held, first, _, newest = unpacked(NUMBERS, value)
    if a > 0 and used > 0 then
      local lowest = floor((now - b) / a)
      if first < lowest then
        left = left or {}
        value, left[i] = leave_behind(value, lowest), true
        values[i + offset] = value
      end
    end
    strange = strange or held + amount > LARGEST or (a > 0 and newest > floor(now / a))
    readings = readings .. sub(value, 1, 24)
  else
    readings = readings .. pack('<ddd', 0, 0, 0)
  end
end

local scopes, further
if purse then
  book, further = ledger(), {}
  grants, scopes = book.read_grants(purse), cjson.decode(limits)
end
local size = (#numbers - position + 1) / 32
for i = 1, size do
  local index, maximum, need, is_enforced
  index, maximum, need, is_enforced, position = unpacked('<dddd', numbers, position)
  local granted, fits = 0, 0
  if maximum >= 0 then
    local used, held = unpacked('<dd', readings, 24 * index - 23)
    if scopes then
      granted = book.granted(grants, scopes[i][#scopes[i]])
    end
    -- In this order no number passes 2^53, beyond which Lua would round.
    if need > maximum - used + granted - held then
      exceeded, further = true, further or {}
      refused = refused or is_enforced == 1
      local a, b = unpacked('<dd', numbers, counters_at + 24 * (index - 1))
      if a > 0 then
        book = book or ledger()
        fits = book.fits_at(book.open(nil, values[index + offset], 's', a, b), maximum, need)
      end
    end
  end
  if further then
    further[i] = pack('<dd', fits, granted)
  end
end
if further then
  for i = 1, size do
    further[i] = further[i] or pack('<dd', 0, 0)
  end
  readings = readings .. table.concat(further)
end
