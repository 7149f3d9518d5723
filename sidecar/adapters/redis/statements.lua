-- What a counter of a billing window comes to, noted with each change of what is used of it: put
-- between counters.lua and counting.lua.
--
-- <prefix>:p:<name> is a hash of one counter:
--   start -> lasts seen used granted included flags limit; - lasts, and seen, when the limit and
--      the end were seen last, from the start on: Redis packs what is short. Included: -1 for no
--      bound; flags: - and c, cut: another period began before its end, o: it lies across others,
--      l: the counter was lost while it ran
--   start+hour -> used granted; - what of both came in this hour after the end
-- The sorted set <prefix>:p has a member for each of them, 'user name', all of the same score, in
-- the order in which they are listed; the user is '' where users share the counter.
-- <prefix>:pt has the same, by when they may be forgotten.

-- Add what came in a period that runs and is what it was, as nearly all of it does. Returns
-- whether that was so. added: to what is used; paid: of it by grants; seen: when the limit and
-- what it included held
local function add_to_statement(name, start, ends, added, paid, seen, limit, included)
  local call, format, min = redis.call, string.format, math.min
  local key, field = KEYS[1] .. ':p:' .. name, format('%d', start)
  local stored = call('HGET', key, field)
  if not stored then
    return false
  end
  local lasts, before, used, granted, flags =
    string.match(stored, '^(%d+) (%-?%d+) (%-?%d+) (%d+) %-?%d+ (%S+) ')
  if not lasts or ends ~= start + lasts or now >= ends or seen < start + before then
    return false
  end
  call('HSET', key, field, format('%s %d %d %d %d %s %s', lasts, seen - start, used + added,
    min(granted + paid, LARGEST), included, flags, limit))
  return true
end

-- The same of whatever period.
-- counter: as `open` gives it, changed, with name, limit, included, seen; was: what was used
-- before; paid: units that grants paid for since.
local function write_statement(counter)
  local floor, max, min = math.floor, math.max, math.min
  local find, format, match = string.find, string.format, string.match
  local call = redis.call
  local prefix = KEYS[1]
  local KEPT = 400 * 86400000   -- after the end
  local HOUR = 3600000          -- so long after the end the limit of a hold is heard of
  local GOES = 16               -- counters that one call forgets

  local key, field = prefix .. ':p:' .. counter.name, format('%d', counter.a)
  local member = (match(counter.name, ':user=([^:]*)') or '') .. ' ' .. counter.name
  local index, times = prefix .. ':p', prefix .. ':pt'
  local added, paid = counter.used - counter.was, counter.paid

  local function read(start, value)
    local lasts, seen, used, granted, included, flags, limit =
      match(value, '^(%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%S+) (%S*)$')
    return {
      start = start + 0, ends = start + lasts, seen = start + seen, used = used + 0,
      granted = granted + 0, included = included + 0, flags = flags, limit = limit,
    }
  end

  local function write(it)
    call('HSET', key, format('%d', it.start), format('%d %d %d %d %d %s %s', it.ends - it.start,
      it.seen - it.start, it.used, it.granted, it.included, it.flags, it.limit))
  end

  local function keep_until(ends)
    call('PEXPIRE', key, format('%d', max(ends - now, 0) + KEPT))
    call('ZADD', index, 0, member)
    call('ZADD', times, format('%d', max(ends, now) + KEPT), member)
    -- Both lists live as long as the last that stands in them.
    local lives = format('%d', call('ZRANGE', times, -1, -1, 'WITHSCORES')[2] - now)
    call('PEXPIRE', times, lives)
    call('PEXPIRE', index, lives)
  end

  -- How a period that begins lies to the others of the counter; what is too old is forgotten.
  local function enter(mine)
    local found = call('HGETALL', key)
    local lasts = mine.ends
    for i = 1, #found, 2 do
      local at = found[i]
      local start = match(at, '^%d+')
      local value = call('HGET', key, start)
      local other = value and read(start, value)
      if not other or other.ends + KEPT <= now then
        call('HDEL', key, at)
      elseif not find(at, '+', 1, true) then
        if other.start < mine.ends and other.ends > mine.start then
          if other.start < mine.start and mine.seen < mine.ends then
            other.ends, other.flags = mine.start, other.flags .. 'c'
            write(other)
          else
            mine.flags = mine.flags .. 'o'
          end
        end
        lasts = max(lasts, other.ends)
      end
    end
    local over = call('ZRANGEBYSCORE', times, '-inf', format('%d', now), 'LIMIT', 0, GOES)
    if #over > 0 then
      call('ZREM', index, unpack(over))
      call('ZREM', times, unpack(over))
    end
    return lasts
  end

  local stored = call('HGET', key, field)
  local mine, lasts
  if stored then
    mine = read(field, stored)
    if now < mine.ends + HOUR and counter.seen >= mine.seen then
      mine.limit, mine.included, mine.seen = counter.limit, counter.included, counter.seen
      if counter.b ~= mine.ends and not find(mine.flags, 'c', 1, true) then
        mine.ends, lasts = counter.b, counter.b
      end
    end
    if counter.is_new and mine.used > 0 and now < mine.ends
      and not find(mine.flags, 'l', 1, true) then
      mine.flags = mine.flags .. 'l'
    end
    mine.used, mine.granted = mine.used + added, min(mine.granted + paid, LARGEST)
  else
    mine = {
      start = counter.a, ends = counter.b, seen = counter.seen, used = counter.used, granted = paid,
      included = counter.included, flags = '-', limit = counter.limit,
    }
    lasts = enter(mine)
  end
  write(mine)
  if lasts then
    keep_until(lasts)
  end
  if now >= mine.ends then
    local hour = field .. '+' .. format('%d', floor(now / HOUR))
    local used, granted = match(call('HGET', key, hour) or '0 0', '^(%-?%d+) (%-?%d+)$')
    call('HSET', key, hour, format('%d %d', used + added, min(granted + paid, LARGEST)))
  end
end
