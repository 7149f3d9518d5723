-- Tell all who listen that something was changed.
--
-- KEYS[1]  the version: a number that grows, and a word of whoever made it
-- ARGV[1]  topic; ARGV[2] a word that nobody used before; ARGV[3] kind of the change; ARGV[4] its
--          key; none of them with blanks
-- Returns  the version. Each message names the one before, so that a lost message is noticed; the
--          words make another chain of what is announced after a failover that lost some.

local before = redis.call('GET', KEYS[1]) or ''
local number = tonumber(string.match(before, '^%d+') or '0') + 1
local version = string.format('%.0f-%s', number, ARGV[2])
redis.call('SET', KEYS[1], version)
-- Who may not publish is heard of by the version alone.
redis.pcall('PUBLISH', ARGV[1], before .. ' ' .. version .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
return version
