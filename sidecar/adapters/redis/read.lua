-- What counters hold.
--
-- KEYS[2]  the user's grants; KEYS[3...] the counters
-- ARGV[2]  JSON of the limits, as in reserve.lua
-- ARGV[3]  since when, ARGV[4] until when the periods of the counters hold
-- ARGV[5...] n, the counters and the limits, as in readings.lua
-- Returns  lines: 'ok', epoch, readings as in reserve.lua, then the user's grants, a line each.
--          Or 'period', epoch, now: the periods do not contain it; 'again', epoch

local values = call('MGET', unpack(KEYS))
local epoch, _, ended, more = read_head(values[1], false)
if more then
  return 'again\n' .. epoch
elseif ended then
  values = call('MGET', unpack(KEYS))
end
local ends = ARGV[4] + 0
if now < ARGV[3] + 0 or (ends > 0 and now >= ends) then
  return 'period\n' .. epoch .. '\n' .. format('%d', now)
end
local _, readings = look(values, 2, 5, values[2], ARGV[2])
return 'ok\n' .. epoch .. '\n' .. readings .. '\n' .. (values[2] or '')
