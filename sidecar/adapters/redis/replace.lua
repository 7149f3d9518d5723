-- Replace a document, if it is still what the caller saw.
--
-- KEYS[1]  the document's key
-- ARGV[1]  what the caller saw, '' for nothing
-- ARGV[2]  what is to stand there
-- Returns  1 if it stands there now, even by an earlier call whose reply was lost, else 0

local standing = redis.call('GET', KEYS[1]) or ''
if standing == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2])
elseif standing ~= ARGV[2] then
  return 0
end
return 1
