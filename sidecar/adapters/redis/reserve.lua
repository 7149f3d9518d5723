-- Hold units in every counter, or in none: read all, decide, only then write.
--
-- ARGV[2]  id of the reservation: it is the operation's id too, so the same call again gives
--          the first answer
-- ARGV[3]  milliseconds that it lives; an extension never shortens a life
-- ARGV[4]  digest of the caller's request id, '' for none
-- ARGV[5]  fingerprint of the request's body
-- ARGV[6]  id of the decision
-- ARGV[7]  the request, as an extension will need it
-- ARGV[8]  the limits, as a commit will show them
-- ARGV[9]  reserve; extend: a live reservation instead; recall: the first answer or nothing
-- ARGV[10] tokens granted
-- ARGV[11] n, then n counters: name kind a b meter amount
--          m, then m limits: index of counter, maximum (-1 for none), units needed, enforced
-- Returns  {'held' | 'refused', now, expires_at, decision id, tokens, reservation id, used held
--          resets_at of each counter, fits_at of each limit}, as they were before this
--          request's own units, none of them where the first answer was given under other
--          limits; {'reused'}: the request id came with another body; {'unknown'}, {'ended',
--          state}: no live reservation to extend; {'period', now} as in read.lua

local REMEMBERED = 600000   -- beyond the hold, the caller's request id

local id, ttl, request_digest, fingerprint = take(), number(), take(), take()
local decision, document, limits_shown = take(), take(), take()
local action, tokens = take(), number()
local extends = action == 'extend'
local key = prefix .. ':r:' .. id

-- Readings are told again only to whom they were told under the same limits.
local function told(shown, limits)
  return limits == limits_shown and shown or ''
end

local function answer(outcome, expires, decided, granted, reservation, readings)
  local reply = { outcome, text(now), expires, decided, granted, reservation }
  for value in string.gmatch(readings, '%d+') do
    table.insert(reply, value)
  end
  return reply
end

local function first_answer(reservation, remembered)
  local fields = redis.call('HMGET', prefix .. ':r:' .. reservation,
    'fp', 'ex', 'di', 'tk', 'rd', 'ld')
  if not fields[1] or tonumber(fields[2]) + remembered <= now then
    return nil
  elseif fields[1] ~= fingerprint then
    return { 'reused' }
  end
  return answer('held', fields[2], fields[3], fields[4], reservation,
    told(fields[5], fields[6]))
end

local entries = {}
if extends then
  local fields = redis.call('HMGET', key, 'st', 'ex', 'en', 'tk', 'xo', 'xr', 'xl', 'op')
  if not fields[1] then
    return { 'unknown' }
  elseif fields[1] ~= 'held' then
    return { 'ended', fields[1] }
  elseif fields[5] == decision then
    return answer('held', fields[2], decision, fields[4], id, told(fields[6], fields[7]))
  end
  ttl = math.max(ttl, tonumber(fields[2]) - now)
  entries = entries_of(fields[3])
  request_digest = fields[8]
  tokens = sum(tokens, tonumber(fields[4]))
else
  local first
  if request_digest ~= '' then
    local known = redis.call('GET', prefix .. ':o:' .. request_digest)
    first = known and first_answer(known, REMEMBERED)
  end
  first = first or first_answer(id, math.huge)
  if first then
    return first
  elseif action == 'recall' then
    return { 'unknown' }
  end
end

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
    refused = refused or enforced == '1'
    fits = fits_at(counter, maximum, need)
  end
  table.insert(readings, text(fits))
end

local shown = table.concat(readings, ',')
if refused then
  return answer('refused', text(now), decision, text(0), id, shown)
end

for _, entry in ipairs(entries) do
  if entry.held > 0 then
    -- What is held already is to outlive the longer life too.
    store(load(entry.name, entry.kind, entry.a, entry.b), ttl)
  end
end
for _, counter in ipairs(counters) do
  local held = hold(counter, counter.amount)
  store(counter, ttl)
  table.insert(entries, {
    name = counter.name, kind = counter.kind, a = counter.a, b = counter.b,
    meter = counter.meter, bucket = bucket_of(counter.kind, counter.a, now),
    held = held, drawn = 0,
  })
end
if extends then
  redis.call('HSET', key, 'ex', text(now + ttl), 'en', lines_of(entries), 'tk', text(tokens),
    'xo', decision, 'xr', shown, 'xl', limits_shown)
else
  redis.call('HSET', key, 'st', 'held', 'ex', text(now + ttl), 'fp', fingerprint,
    'di', decision, 'rq', document, 'ld', limits_shown, 'op', request_digest,
    'tk', text(tokens), 'en', lines_of(entries), 'rd', shown)
end
if request_digest ~= '' then
  redis.call('SET', prefix .. ':o:' .. request_digest, id, 'PX', text(ttl + REMEMBERED))
end
redis.call('ZADD', prefix .. ':x', text(now + ttl), id)
return answer('held', text(now + ttl), decision, text(tokens), id, shown)
