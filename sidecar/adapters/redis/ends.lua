-- What is known for days: how reservations ended, and which events came. It lies in spans of time
-- and in shards, so that each is forgotten as a whole.
--
-- What is left of an ended reservation after a while, a field of <prefix>:t:<span>:<shard>:
--   state expires/1000 tokens told - under its token, for 8 days at least.

-- Where what came in a span of time stands that is so many spans before an instant, in the shard
-- of a place.
local function span_of(kind, place, back, at)
  local SPAN = 2 * 86400000
  return string.format('%s:%s:%d:%s', KEYS[1], kind, math.floor(at / SPAN) - back,
    string.sub(place, 1, 1))
end

-- Have a span live for four others, if it has but so many members: it keeps what it was given to
-- live when it began.
local function keep_span(key, count, members)
  local SPAN, SPANS = 2 * 86400000, 5
  if count <= members then
    redis.call('PEXPIRE', key, string.format('%d', (math.floor(now / SPAN) + SPANS) * SPAN - now))
  end
end

-- Remember ends, as tokens and texts, of reservations that begin with the same place.
local function remember_ends(place, ...)
  local span = span_of('t', place, 0, now)
  redis.call('HSET', span, ...)
  keep_span(span, redis.call('HLEN', span), select('#', ...) / 2)
end
