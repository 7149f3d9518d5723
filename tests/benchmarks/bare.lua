-- The least that a reservation under three limits asks of Redis: six commands, nothing decided.
-- It reads the same keys, and writes anew all that stands there after one: the three counters and
-- the reservation. reserve.lua changes in its place what it can.
--
-- KEYS     as reserve.lua has them: the app, the reservation, the user's grants, three counters
-- ARGV     what is to stand under the reservation, then under each counter

local time = redis.call('TIME')
redis.call('MGET', unpack(KEYS))
redis.call('SET', KEYS[4], ARGV[2], 'PX', 7200000)
redis.call('SET', KEYS[5], ARGV[3], 'PX', 7200000)
redis.call('SET', KEYS[6], ARGV[4], 'PX', 7200000)
redis.call('SET', KEYS[2], ARGV[1])
return time[1]
