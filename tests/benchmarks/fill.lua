-- Give further users what one has: the same counters, reports and subscription under their names.
--
-- KEYS  what holds the one user's name: keys that bear it, and sorted sets of which a member does
-- ARGV  the one user's name, then the numbers of the first, of the last and from one to the next

local name = ARGV[1]
local made = 0
for number = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]) do
  local other = string.format('u%07d', number)
  for _, key in ipairs(KEYS) do
    local kind = redis.call('TYPE', key).ok
    local place = string.gsub(key, name, other)
    if kind == 'zset' then
      for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
        if string.find(member, name, 1, true) then
          local score = redis.call('ZSCORE', key, member)
          redis.call('ZADD', key, score, (string.gsub(member, name, other)))
        end
      end
    elseif kind == 'string' then
      local left = redis.call('PTTL', key)
      redis.call('SET', place, (string.gsub(redis.call('GET', key), name, other)))
      if left > 0 then
        redis.call('PEXPIRE', place, left)
      end
    else
      redis.call('COPY', key, place)
    end
  end
  made = made + 1
end
return made
