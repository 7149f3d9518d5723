-- An app is about to have events that are kept.
--
-- KEYS[1]  apps by their names: a sorted set without scores
-- KEYS[2]  the same by the millisecond in which this was last said of them
-- ARGV     the app; now; the millisecond before which nothing is kept any more
-- Returns  1

local call = redis.call
call('ZADD', KEYS[1], 0, ARGV[1])
call('ZADD', KEYS[2], ARGV[2], ARGV[1])
for _, app in ipairs(call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[3], 'LIMIT', 0, 100)) do
  call('ZREM', KEYS[1], app)
  call('ZREM', KEYS[2], app)
end
return 1
