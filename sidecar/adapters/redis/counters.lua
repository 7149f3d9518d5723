-- The counters of one app: put in front of every script of the meter.
--
-- KEYS[1]  what all keys of the app begin with, such as 's3:{app}'; being in braces, it puts
--          all that one call touches into one slot of a cluster. Under itself stands the head:
--          'epoch due', when the app was first counted, in microseconds, in 16 digits, and when
--          its next reservation expires, in milliseconds (0: none).
-- ARGV[1]  now, in milliseconds since 1970; '' to read the server's clock, once.
--
-- A counter is five numbers: used held first till newest. They stand as doubles, which hold
-- every integer up to 2^53: that is read without being parsed, and what is held can be changed
-- where it stands. till is when the counter may be forgotten (0: never); its TTL is set when it
-- moves, and not before. A sliding window is cut into buckets; behind its numbers stand slots,
-- the use of each bucket from `first` to `newest`, in equally many digits each, `used` their
-- sum. The oldest bucket is counted in full: never more than the limit in any true window, at
-- most one bucket's width less. A hold changes no slot. Behind the numbers of one that is held
-- against a balance stand marks instead (see counting.lua).
--
-- Scripts are told of a counter two numbers: of a sliding window a, the width of a bucket, and
-- b, its length, in milliseconds; of a period 0 and till.

local REMEMBERED = 600000   -- a request's id, beyond its hold
local LARGEST = 9007199254740991
local MARGIN = 60000

local NUMBERS = '<ddddd'    -- of a counter; behind so many bytes stand its slots
local SLOTS = 40

local floor, max, min = math.floor, math.max, math.min
local format, match, sub = string.format, string.match, string.sub
local pack, unpacked = struct.pack, struct.unpack
local call = redis.call
local prefix = KEYS[1]

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + floor(time[2] / 1000)
end

-- What a function takes from around it every call of the script pays for, whether it comes to
-- that function or not. So those that only some come to take what they can for themselves.

-- What is left of a counter without the buckets before the lowest, and empty ones in front of the
-- first use.
local function leave_behind(value, lowest)
  local sub = string.sub
  local used, held, first, till, newest = struct.unpack(NUMBERS, value)
  local buckets, from = newest - first + 1, SLOTS + 1
  local width = (#value - SLOTS) / buckets
  while first < lowest and first <= newest do
    used = used - sub(value, from, from + width - 1)
    first, from = first + 1, from + width
  end
  local empty = math.floor(#string.match(value, '^0*', from) / width)
  return struct.pack(NUMBERS, used, held, first + empty, till, newest)
    .. sub(value, from + empty * width)
end
