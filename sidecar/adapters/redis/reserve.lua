-- Hold units in every counter, or in none: read all, decide, only then write.
--
-- ARGV[2]  id of the reservation: it is the operation's id too, so the same call again gives
--          the first answer
-- ARGV[3]  milliseconds that it lives
-- ARGV[4]  digest of the caller's request id, '' for none
-- ARGV[5]  fingerprint of the request's body
-- ARGV[6]  id of the decision
-- ARGV[7]  the request, as an extension will need it
-- ARGV[8]  the limits, as a commit will show them
-- ARGV[9]  '1' to extend a live reservation instead
-- ARGV[10] tokens granted
-- ARGV[11] n, then n counters: name kind a b meter amount
--          m, then m limits: index of counter, maximum (-1 for none), units needed, enforced
-- Returns  {'held' | 'refused', now, expires_at, decision id, tokens, reservation id, used held
--          resets_at of each counter, fits_at of each limit}, as they were before this
--          request's own units; {'reused'}: the request id came with another body; {'unknown'}, {'ended', state}: no
--          live reservation to extend; {'period', now}, {'again', now} as in read.lua.

local REMEMBERED = 600000   -- beyond the hold, the caller's request id

local id, ttl, request_digest, fingerprint = take(), number(), take(), take()
local decision, document, limits_shown = take(), take(), take()
local extends, tokens = take() == '1', number()
local key = prefix .. ':r:' .. id

local function answer(outcome, expires, decided, granted, reservation, readings)
  local reply = { outcome, text(now), expires, decided, granted, reservation }
  for value in string.gmatch(readings, '%d+') do
    table.insert(reply, value)
  end
  return reply
end

local function first_answer(reservation)
  local fields = redis.call('HMGET', prefix .. ':r:' .. reservation, 'fp', 'ex', 'di', 'tk', 'rd')
  if not fields[1] then
    return nil
  elseif fields[1] ~= fingerprint then
    return { 'reused' }
  end
  return answer('held', fields[2], fields[3], fields[4], reservation, fields[5])
end

local entries = {}
if extends then
  local fields = redis.call('HMGET', key, 'st', 'ex', 'en', 'tk', 'xo', 'xr')
  if not fields[1] then
    return { 'unknown' }
  elseif fields[1] ~= 'held' then
    return { 'ended', fields[1] }
  elseif tonumber(fields[2]) <= now then
    return { 'ended', 'expired' }
  elseif fields[5] == decision then
    return answer('held', fields[2], decision, fields[4], id, fields[6])
  end
  entries = entries_of(fields[3])
  tokens = sum(tokens, tonumber(fields[4]))
else
  local first
  if request_digest ~= '' then
    local known = redis.call('GET', prefix .. ':o:' .. request_digest)
    first = known and first_answer(known)
  end
  first = first or first_answer(id)
  if first then
    return first
  end
end

local more = reap()
local counters = {}
local readings = {}
for i = 1, number() do
  local name, kind, a, b, meter, amount = take(), take(), number(), number(), take(), number()
  if kind == 'p' and (now < a or (b > 0 and now >= b)) then
    return { 'period', text(now) }
  end
  local counter = load(name, kind, a, b)
  counter.name, counter.meter, counter.amount = name, meter, amount
  counters[i] = counter
  table.insert(readings, text(counter.used))
  table.insert(readings, text(counter.held))
  table.insert(readings, text(resets_at(counter)))
end

local refused = false
for _ = 1, number() do
  local counter, maximum, need, enforced = counters[number()], number(), number(), take()
  local fits = 0
  if maximum >= 0 and counter.used + counter.held + need > maximum then
    if enforced == '1' then
      if more then
        return { 'again', text(now) }
      end
      refused = true
    end
    fits = fits_at(counter, maximum, need)
  end
  table.insert(readings, text(fits))
end

local shown = table.concat(readings, ',')
if refused then
  return answer('refused', text(now), decision, text(0), id, shown)
end

for _, counter in ipairs(counters) do
  hold(counter, counter.amount)
  store(counter, ttl)
  table.insert(entries, {
    name = counter.name, kind = counter.kind, a = counter.a, b = counter.b,
    meter = counter.meter, bucket = bucket_of(counter.kind, counter.a, now),
    held = counter.amount, drawn = 0,
  })
end
if extends then
  redis.call('HSET', key, 'ex', text(now + ttl), 'en', lines_of(entries), 'tk', text(tokens),
    'xo', decision, 'xr', shown)
else
  redis.call('HSET', key, 'st', 'held', 'ex', text(now + ttl), 'fp', fingerprint,
    'di', decision, 'rq', document, 'ld', limits_shown, 'op', request_digest,
    'tk', text(tokens), 'en', lines_of(entries), 'rd', shown)
  if request_digest ~= '' then
    redis.call('SET', prefix .. ':o:' .. request_digest, id, 'PX', text(ttl + REMEMBERED))
  end
end
redis.call('PEXPIRE', key, text(ttl + KEPT))
redis.call('ZADD', prefix .. ':x', text(now + ttl), id)
return answer('held', text(now + ttl), decision, text(tokens), id, shown)
