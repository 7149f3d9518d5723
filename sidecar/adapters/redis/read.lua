-- What counters hold.
--
-- KEYS[2]  the user's grants; KEYS[3...] the counters
-- ARGV[2]  JSON of the limits, as in a record
-- ARGV[3]  numbers, as doubles: the periods of the counters hold from then until before then (0:
--          for ever); counters and limits, as in readings.lua
-- Returns  lines: 'ok', epoch, then the user's grants, a line each; and the readings of
--          readings.lua. Or lines alone: 'period', epoch, now: the periods do not contain
--          it; 'again', epoch

local limits, numbers, offset = ARGV[2], ARGV[3], 2
local values = call('MGET', unpack(KEYS))
local epoch, due, more = '', 0, false
if values[1] then
  epoch, due = sub(values[1], 1, 16), sub(values[1], 18) + 0
end
if epoch == '' or (due > 0 and due <= now) then
  epoch, due, more = ledger().read_head(values[1], false)
  if more then
    return 'again\n' .. epoch
  end
  values = call('MGET', unpack(KEYS))
end
local purse = values[2]
local starts, ends, position = unpacked('<dd', numbers)
if now < starts or (ends > 0 and now >= ends) then
  return 'period\n' .. epoch .. '\n' .. format('%d', now)
end
