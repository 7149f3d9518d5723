-- Some of the log of events of an app, with the time at which it was read.
--
-- KEYS[1]  what all keys of the app begin with
-- ARGV     now, '' to read the server's clock; from which id and up to which; how many at most
-- Returns  now, then of each event id and body

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local reply = { string.format('%d', now) }
for _, entry in ipairs(redis.call('XRANGE', KEYS[1] .. ':l', ARGV[2], ARGV[3], 'COUNT', ARGV[4])) do
  table.insert(reply, entry[1])
  table.insert(reply, entry[2][2])
end
return reply
