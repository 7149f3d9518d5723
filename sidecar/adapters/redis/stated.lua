-- What statements.lua has noted, counter by counter.
--
-- ARGV[2]  the member of the index to begin with, ARGV[3] before which to end, as ZRANGEBYLEX
--          has them
-- ARGV[4]  how many counters
-- Returns  lines: 'ok', epoch; then for each counter '#' and its member, and behind it a line for
--          each field of its hash, 'field value'; none where they are forgotten. Or 'again',
--          epoch: so many are overdue that what they are charged may still be missing

local book = ledger()
book.stand_still()
local epoch, _, more = book.read_head(call('GET', prefix), false)
if more then
  return 'again\n' .. epoch
end
local lines = { 'ok', epoch }
for _, member in ipairs(
  call('ZRANGEBYLEX', prefix .. ':p', ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])) do
  lines[#lines + 1] = '#' .. member
  local found = call('HGETALL', prefix .. ':p:' .. match(member, '%S+$'))
  for i = 1, #found, 2 do
    lines[#lines + 1] = found[i] .. ' ' .. found[i + 1]
  end
end
return table.concat(lines, '\n')
