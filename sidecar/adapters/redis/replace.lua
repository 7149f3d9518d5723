-- Replace a document, if it is still what the caller saw.
--
-- KEYS[1]  the document's key
-- ARGV[1]  what the caller saw, '' for nothing
-- ARGV[2]  what is to stand there
-- Returns  1 if it was replaced, else 0

if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
