-- Counters, holds and their expiry: put in front of every script of the meter.
--
-- KEYS[1]  prefix of all keys of one app, such as 's1:{app}'. Every other key is built from
--          it, so all that one call touches lies in one slot of a cluster.
-- ARGV[1]  now, in milliseconds since 1970; '' to read the server's clock, once.
--
-- A counter is a hash.
--   fixed window    <prefix>:c:<name>@<start>   u used, h held
--   sliding window  <prefix>:c:<name>           s used in all live buckets, h held, o oldest
--                                               live bucket, and a field for each bucket
-- A sliding window counts its oldest bucket in full: never more than the limit in any true
-- window, at most one bucket's width less.
--
-- A reservation is a hash <prefix>:r:<id>; the sorted set <prefix>:x holds the live ones by
-- expiry. A live one has no TTL: whoever calls next after its expiry gives back what it holds,
-- and could not if it were gone. Its field 'en' is one line for each counter that it holds in, fields by tabs:
--   name kind a b meter bucket held drawn
-- where kind is p (a, b: start and end, end 0 for never) or s (a, b: width of a bucket and
-- length of the window), all in milliseconds. A period may have begun before 1970: a, b and the
-- bucket may have a sign.

local DAY = 86400000
local KEPT = 7 * DAY        -- ended reservations, and periods for late events
local LARGEST = 9007199254740991
local AHEAD = 300000        -- how far ahead of now an event may lie
local REAP = 128            -- overdue reservations that one call ends

local prefix = KEYS[1]
local position = 1

local function take()
  position = position + 1
  return ARGV[position - 1]
end

local function number()
  return tonumber(take())
end

local now = number()
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Integers as text: Lua would write 1e+15.
local function text(value)
  return string.format('%.0f', value)
end

local function sum(one, other)
  return math.min(one + other, LARGEST)
end

-- What a counter holds, read once; nothing is written before `store`.
local function load(name, kind, a, b)
  local counter = { kind = kind, a = a, b = b, added = {}, dropped = {} }
  if kind == 'p' then
    counter.key = prefix .. ':c:' .. name .. '@' .. text(a)
    local fields = redis.call('HMGET', counter.key, 'u', 'h')
    counter.used = tonumber(fields[1] or 0)
    counter.held = tonumber(fields[2] or 0)
    counter.is_new = not fields[1]
    return counter
  end
  counter.key = prefix .. ':c:' .. name
  counter.first = math.floor((now - b) / a)
  local fields = redis.call('HMGET', counter.key, 's', 'h', 'o')
  counter.used = tonumber(fields[1] or 0)
  counter.held = tonumber(fields[2] or 0)
  counter.oldest = fields[3] and tonumber(fields[3]) or nil
  counter.stored_oldest = counter.oldest
  counter.is_new = not fields[1]
  if counter.oldest and counter.oldest < counter.first then
    counter.used, counter.oldest = 0, nil
    local all = redis.call('HGETALL', counter.key)
    for i = 1, #all, 2 do
      local bucket = tonumber(all[i])
      if bucket and bucket < counter.first then
        table.insert(counter.dropped, all[i])
      elseif bucket then
        counter.used = sum(counter.used, tonumber(all[i + 1]))
        if not counter.oldest or bucket < counter.oldest then
          counter.oldest = bucket
        end
      end
    end
  end
  return counter
end

-- Hold units, no more than a counter can count; the units that it holds now.
local function hold(counter, units)
  units = math.min(units, LARGEST - counter.held)
  counter.held = math.max(0, counter.held + units)
  return units
end

-- Use in one bucket; what lies before a sliding window changes nothing.
local function use(counter, bucket, units)
  units = math.min(units, LARGEST - counter.used)
  if units <= 0 then
    return
  end
  if counter.kind == 's' then
    if bucket < counter.first then
      return
    end
    counter.added[bucket] = (counter.added[bucket] or 0) + units
    if not counter.oldest or bucket < counter.oldest then
      counter.oldest = bucket
    end
  end
  counter.used = counter.used + units
end

-- hold_ms: how long something held may still live, so that the counter outlives it.
local function store(counter, hold_ms)
  local key = counter.key
  local lives
  if counter.kind == 'p' then
    redis.call('HSET', key, 'u', text(counter.used), 'h', text(counter.held))
    if counter.b == 0 then
      return
    end
    -- A period may have become longer under the same start: a month that is now a year.
    lives = math.max(counter.b - now, 0) + KEPT + DAY
  else
    if #counter.dropped > 0 then
      redis.call('HDEL', key, unpack(counter.dropped))
    end
    for bucket, units in pairs(counter.added) do
      redis.call('HINCRBY', key, text(bucket), text(units))
    end
    redis.call('HSET', key, 's', text(counter.used), 'h', text(counter.held))
    if counter.oldest ~= counter.stored_oldest then
      if counter.oldest then
        redis.call('HSET', key, 'o', text(counter.oldest))
      else
        redis.call('HDEL', key, 'o')
      end
    end
    lives = counter.b + 2 * counter.a + math.max(hold_ms, AHEAD) + 60000
  end
  if counter.is_new then
    redis.call('PEXPIRE', key, text(lives))
  else
    redis.call('PEXPIRE', key, text(lives), 'GT')
  end
end

-- When a sliding window's oldest use leaves it, 0 if there is none; a period's end is known.
local function resets_at(counter)
  if counter.kind == 'p' then
    return counter.b
  end
  return counter.oldest and (counter.oldest + 1) * counter.a + counter.b or 0
end

-- When so many units more fit under a maximum, 0 if they never do. What is held counts as if
-- it were used up in the present bucket: it cannot leave the window later than that.
local function fits_at(counter, maximum, need)
  if counter.kind == 'p' then
    return counter.b
  elseif need > maximum then
    return 0
  end
  local buckets, units = {}, {}
  local all = redis.call('HGETALL', counter.key)
  for i = 1, #all, 2 do
    local bucket = tonumber(all[i])
    if bucket and bucket >= counter.first then
      table.insert(buckets, bucket)
      units[bucket] = tonumber(all[i + 1])
    end
  end
  table.sort(buckets)
  -- In this order no number passes 2^53, beyond which Lua would round.
  local room, used = maximum - need - counter.held, counter.used
  for _, bucket in ipairs(buckets) do
    used = used - units[bucket]
    if used <= room then
      return (bucket + 1) * counter.a + counter.b
    end
  end
  return (math.floor(now / counter.a) + 1) * counter.a + counter.b
end

local function entries_of(lines)
  local entries = {}
  for name, kind, a, b, meter, bucket, held, drawn in
    string.gmatch(lines, '([^\t\n]*)\t(.)\t(%-?%d+)\t(%-?%d+)\t([%a_]+)\t(%-?%d+)\t(%d+)\t(%d+)\n') do
    table.insert(entries, {
      name = name, kind = kind, a = tonumber(a), b = tonumber(b), meter = meter,
      bucket = tonumber(bucket), held = tonumber(held), drawn = tonumber(drawn),
    })
  end
  return entries
end

local function lines_of(entries)
  local lines = {}
  for i, entry in ipairs(entries) do
    lines[i] = table.concat({
      entry.name, entry.kind, text(entry.a), text(entry.b), entry.meter,
      text(entry.bucket), text(entry.held), text(entry.drawn),
    }, '\t') .. '\n'
  end
  return table.concat(lines)
end

-- Give back all that these entries still hold, to each counter once.
local function let_go(entries)
  local places, units = {}, {}
  for _, entry in ipairs(entries) do
    if entry.held > 0 then
      local place = table.concat({ entry.name, entry.kind, text(entry.a), text(entry.b) }, '\t')
      places[place] = entry
      units[place] = (units[place] or 0) + entry.held
      entry.held = 0
    end
  end
  for place, entry in pairs(places) do
    local counter = load(entry.name, entry.kind, entry.a, entry.b)
    hold(counter, -units[place])
    store(counter, 0)
  end
end

local function bucket_of(kind, a, at)
  return kind == 'p' and a or math.floor(at / a)
end

-- What was charged from a reservation and what it still holds, by counter.
local function sums_of(entries)
  local told, held = {}, {}
  for _, entry in ipairs(entries) do
    told[entry.name] = (told[entry.name] or 0) + entry.drawn
    held[entry.name] = (held[entry.name] or 0) + entry.held
  end
  return told, held
end

-- Charge the total use so far, in the buckets of the hold; what it was told before is part of
-- it. `additional` adds to what was told instead. Of an amount that is not told (-1) nothing is
-- charged, unless the reservation `finishes`: then it is what is held, within the tokens in all.
local function draw(entries, amounts, additional, finishes)
  local told, held = sums_of(entries)
  local due = {}
  for _, entry in ipairs(entries) do
    local amount = amounts[entry.meter] or 0
    if amount < 0 then
      amount = finishes and math.min(told[entry.name] + held[entry.name], amounts.tokens) or 0
    end
    if not due[entry.name] then
      due[entry.name] = additional and amount or math.max(0, amount - told[entry.name])
    end
  end
  for i, entry in ipairs(entries) do
    local units = due[entry.name]
    local is_last = true
    for j = i + 1, #entries do
      is_last = is_last and entries[j].name ~= entry.name
    end
    if not is_last then
      units = math.min(units, entry.held)
    end
    if units > 0 then
      local counter = load(entry.name, entry.kind, entry.a, entry.b)
      local from_hold = math.min(units, entry.held)
      hold(counter, -from_hold)
      use(counter, entry.bucket, units)
      store(counter, 0)
      entry.held = entry.held - from_hold
      entry.drawn = sum(entry.drawn, units)
      due[entry.name] = due[entry.name] - units
    end
  end
end

-- End overdue reservations, a bounded number at a time, before anything is read: what they
-- hold is nobody's. Callers come again until none is left.
do
  local overdue = redis.call('ZRANGEBYSCORE', prefix .. ':x', '-inf', text(now), 'LIMIT', 0, REAP)
  local ended, all = {}, {}
  for _, id in ipairs(overdue) do
    local key = prefix .. ':r:' .. id
    local lines = redis.call('HGET', key, 'en')
    if lines then
      ended[key] = entries_of(lines)
      for _, entry in ipairs(ended[key]) do
        table.insert(all, entry)
      end
    end
  end
  let_go(all)
  for key, entries in pairs(ended) do
    redis.call('HSET', key, 'st', 'expired', 'en', lines_of(entries))
    redis.call('PEXPIRE', key, text(KEPT))
  end
  if #overdue > 0 then
    redis.call('ZREM', prefix .. ':x', unpack(overdue))
  end
  if #overdue == REAP then
    return { 'again' }
  end
end
