-- Messages that wait to be told to the outside, and which occasions were told.
--
-- KEYS[1]  what waits, by the millisecond in which it is due: a sorted set of ids
-- KEYS[2]  a hash: under each id how often it was tried, a blank, its body
-- KEYS[3]  add: the occasion
-- ARGV[1]  add, take or settle; then
--          add     id, body, now and until in milliseconds
--          take    now and until in milliseconds, how many at most
--          settle  id, when it is due again in milliseconds, '' to forget it
-- Returns  add: 1 if it waits now, also by an earlier call whose reply was lost, else 0; take: id,
--          tries and body of each; settle: 1

local call, action = redis.call, ARGV[1]

if action == 'add' then
  local id, body, now, till = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
  -- Told by the id under which it was added: the same call again finds its own.
  if not call('SET', KEYS[3], id, 'NX', 'PX', till - now) then
    return call('GET', KEYS[3]) == id and 1 or 0
  end
  call('HSET', KEYS[2], id, '0 ' .. body)
  call('ZADD', KEYS[1], now, id)
  return 1
elseif action == 'take' then
  local taken = {}
  for _, id in ipairs(call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], 'LIMIT', 0, ARGV[4])) do
    local message = call('HGET', KEYS[2], id)
    if message then
      call('ZADD', KEYS[1], ARGV[3], id)
      local tries, body = string.match(message, '^(%d+) (.*)$')
      taken[#taken + 1], taken[#taken + 2], taken[#taken + 3] = id, tries, body
    else
      call('ZREM', KEYS[1], id)
    end
  end
  return taken
end

local id, again = ARGV[2], ARGV[3]
local message = call('HGET', KEYS[2], id)
if again == '' or not message then
  call('HDEL', KEYS[2], id)
  call('ZREM', KEYS[1], id)
else
  local tries, body = string.match(message, '^(%d+) (.*)$')
  call('HSET', KEYS[2], id, string.format('%d %s', tries + 1, body))
  call('ZADD', KEYS[1], again, id)
end
return 1
