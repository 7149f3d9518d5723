-- The counters of one app: put in front of every script of the meter.
--
-- KEYS[1]  what all keys of the app begin with, such as 's2:{app}'; being in braces, it puts
--          all that one call touches into one slot of a cluster. Under itself stands the head:
--          'epoch due', when the app was first counted, in microseconds, and when its next
--          reservation expires, in milliseconds (0: none).
-- ARGV[1]  now, in milliseconds since 1970; '' to read the server's clock, once.
--
-- A counter is a text of integers:
--   period          used held 0 till 0
--   sliding window  used held first till newest width|slots
-- till is when it may be forgotten (0: never); its TTL is set when it moves, and not before. A
-- sliding window is cut into buckets; slots are the use of each bucket from `first` to `newest`,
-- in `width` digits each, `used` their sum. The oldest bucket is counted in full: never more
-- than the limit in any true window, at most one bucket's width less. A hold changes no slot.
--
-- Scripts are told of a counter two numbers: of a sliding window a, the width of a bucket, and
-- b, its length, in milliseconds; of a period 0 and till.

local DAY = 86400000
local KEPT = 7 * DAY        -- ended reservations
local REMEMBERED = 600000   -- a request's id, beyond its hold
local LARGEST = 9007199254740991
local MARGIN = 60000

local floor, max, min = math.floor, math.max, math.min
local format, match, sub = string.format, string.match, string.sub
local call = redis.call
local prefix = KEYS[1]
local COUNTER = '^(%d+) (%d+) (%-?%d+) (%d+) (%-?%d+)(.*)$'

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + floor(time[2] / 1000)
end

-- To be called before a script that finds out itself which keys it needs writes any. On a Cluster,
-- where the slot is being moved, a key that is not there ends a script, and what it wrote before
-- would stay: half a commit. This one is never there, so there the script ends before it began.
local function stand_still()
  call('EXISTS', prefix .. ':')
end
