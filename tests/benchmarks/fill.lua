-- Give further users what one has: the same counters, reports and subscription under their names.
--
-- KEYS  what holds the one user's name: keys that bear it, and sorted sets of which a member does
-- ARGV  the one user's name, then the numbers of the first, of the last and from one to the next

local name = ARGV[1]
local texts, listed, copied = {}, {}, {}
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'zset' then
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      if string.find(member, name, 1, true) then
        listed[#listed + 1] = { key, redis.call('ZSCORE', key, member), member }
      end
    end
  elseif kind == 'string' then
    texts[#texts + 1] = { key, redis.call('GET', key), redis.call('PTTL', key) }
  else
    copied[#copied + 1] = key
  end
end

local made = 0
for number = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]) do
  local other = string.format('u%07d', number)
  for _, each in ipairs(texts) do
    local place = string.gsub(each[1], name, other)
    local text = string.gsub(each[2], name, other)
    if each[3] > 0 then
      redis.call('SET', place, text, 'PX', each[3])
    else
      redis.call('SET', place, text)
    end
  end
  for _, each in ipairs(listed) do
    redis.call('ZADD', each[1], each[2], (string.gsub(each[3], name, other)))
  end
  for _, key in ipairs(copied) do
    redis.call('COPY', key, (string.gsub(key, name, other)))
  end
  made = made + 1
end
return made
