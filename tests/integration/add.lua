-- Adds to numbers, and says again what it was told.
--   KEYS     the numbers
--   ARGV[1]  what each becomes more, an integer
--   ARGV[2]  a word
-- Returns the numbers as they are now, and the word behind them.
local reply = {}
for place, key in ipairs(KEYS) do
  reply[place] = redis.call('INCRBY', key, ARGV[1])
end
reply[#reply + 1] = ARGV[2]
return reply
