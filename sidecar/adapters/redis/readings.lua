-- Read counters, and whether what is asked fits: put behind the ledger.

-- What is read of a counter. It stays text, because a hold changes nothing but what is held.
local USED, HELD, FIRST, TILL, REST = 1, 2, 3, 4, 5

-- values: of the keys of the script; offset: those in front of the counters; grants: those of the
-- user, nil for none; limits: JSON of the limits, see reserve.lua
-- ARGV from position on: n, the number of counters, then for each: a b amount; then limits:
-- index of counter, maximum (-1 for none), units needed, 1 if it is enforced
-- Returns the counters; their readings, as reserve.lua returns them; whether an enforced limit
-- has no room; whether any has none; the grants, parsed; whether a bucket is newer than now.
local function look(values, offset, position, grants, limits)
  local book, scopes, further, is_early, exceeded, refused
  local counters, readings, count = {}, '', ARGV[position] + 0
  for i = 1, count do
    local a, value = ARGV[position + 1], values[i + offset]
    local used, held, first, till, newest, rest = '0', '0', '0', '0', '0', ''
    if value then
      used, held, first, till, newest, rest = match(value, COUNTER)
    end
    if a ~= '0' then
      if not value then
        rest = ' 1|'
      elseif used ~= '0' and first + 0 < floor((now - ARGV[position + 2]) / a) then
        book = book or ledger()
        local counter = book.open(nil, value, 's', a + 0, ARGV[position + 2] + 0)
        used, first = format('%d', counter.used), format('%d', counter.first)
        rest = format(' %d|', counter.width) .. counter.slots
      end
      is_early = is_early or newest + 0 > floor(now / a)
    end
    counters[i] = { used, held, first, till, ' ' .. newest .. rest }
    readings = readings .. used .. ' ' .. held .. ' ' .. first .. ' '
    position = position + 3
  end
  if grants then
    book = book or ledger()
    grants, scopes, further = book.read_grants(grants), cjson.decode(limits), {}
  end
  local behind = position
  for i = 1, (#ARGV - position) / 4 do
    local maximum, granted, fits = ARGV[position + 2] + 0, 0, 0
    if maximum >= 0 then
      local index, need = ARGV[position + 1] + 0, ARGV[position + 3] + 0
      local counter = counters[index]
      if scopes then
        granted = book.granted(grants, scopes[i][#scopes[i]])
      end
      -- In this order no number passes 2^53, beyond which Lua would round.
      if need > maximum - counter[USED] + granted - counter[HELD] then
        exceeded, further = true, further or {}
        refused = refused or ARGV[position + 4] == '1'
        local at = behind - 3 * (count - index + 1)
        if ARGV[at + 1] ~= '0' then
          book = book or ledger()
          local text = format('%s %s %s 0%s', counter[USED], counter[HELD], counter[FIRST],
            counter[REST])
          fits = book.fits_at(book.open(nil, text, 's', ARGV[at + 1] + 0, ARGV[at + 2] + 0),
            maximum, need)
        end
      end
    end
    if further then
      further[i] = format('%d %d', fits, granted)
    end
    position = position + 4
  end
  if further then
    for i = 1, (#ARGV - behind) / 4 do
      further[i] = further[i] or '0 0'
    end
    readings = readings .. ';' .. table.concat(further, ' ')
  end
  return counters, readings, refused, exceeded, grants, is_early
end
