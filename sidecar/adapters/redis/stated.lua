-- What statements.lua has noted, counter by counter.
--
-- KEYS[1]  what all keys of the app begin with
-- ARGV[1]  the member of the index to begin with, ARGV[2] before which to end, as ZRANGEBYLEX
--          has them
-- ARGV[3]  how many counters
-- Returns  lines: the app's head; then for each counter '#' and its member, and behind it a line
--          for each field of its hash, 'field value'; none where they are forgotten

local prefix = KEYS[1]
local lines = { redis.call('GET', prefix) or '' }
for _, member in ipairs(
  redis.call('ZRANGEBYLEX', prefix .. ':p', ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])) do
  lines[#lines + 1] = '#' .. member
  local found = redis.call('HGETALL', prefix .. ':p:' .. string.match(member, '%S+$'))
  for i = 1, #found, 2 do
    lines[#lines + 1] = found[i] .. ' ' .. found[i + 1]
  end
end
return table.concat(lines, '\n')
