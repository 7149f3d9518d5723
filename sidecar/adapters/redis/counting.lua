-- How counters are read, changed and written once a call. A function, so that a call that only
-- holds or reads does not pay for it; so is all that follows.

local function counting()
  local floor, max, min = math.floor, math.max, math.min
  local format = string.format
  local rep, sub = string.rep, string.sub
  local pack, unpacked = struct.pack, struct.unpack
  local call = redis.call
  local prefix = KEYS[1]
  local KEPT = 8 * 86400000        -- beyond a period's end: a late event may still come
  local BUCKETS = 60
  local opened = {}

  -- What a counter holds now, from what stands under its key.
  local function open(key, value, kind, a, b)
    local used, held, first, till, newest, slots = 0, 0, 0, 0, 0, ''
    if value then
      used, held, first, till, newest = unpacked(NUMBERS, value)
      local lowest = kind == 's' and floor((now - b) / a)
      if lowest and #value > SLOTS and first < lowest then
        value = leave_behind(value, lowest)
        used, held, first = unpacked(NUMBERS, value)
      end
      slots = sub(value, SLOTS + 1)
    end
    return {
      key = key, kind = kind, a = a, b = b, used = used, held = held, first = first, till = till,
      newest = newest, slots = slots, changed = false, was = used, paid = 0, is_new = not value,
      width = slots == '' and 1 or #slots / (newest - first + 1),
    }
  end

  local function written(counter)
    return pack(NUMBERS, counter.used, counter.held, counter.first, counter.till, counter.newest)
      .. counter.slots
  end

  -- Where the slots of a sliding window stand, a counter that is held against a balance has marks:
  -- pairs of doubles, until when it held what, one for each second at most, and fewer of what is
  -- longer ago. spending.py makes the same ones, and reads them.
  local function marked(counter)
    local marks, size, most = counter.slots, 16, 64
    if marks == '' then
      return pack('<dd', now, counter.used)
    end
    local at, before = unpacked('<dd', marks, #marks - size + 1)
    if before == counter.used then
      return marks
    end
    local till = max(now, at)
    if #marks > size and floor(at / 1000) == floor(till / 1000) then
      marks = sub(marks, 1, -size - 1)
    end
    marks = marks .. pack('<dd', till, counter.used)
    if #marks > most * size then
      local kept = {}
      for i = 0, most / 2 - 1, 2 do
        table.insert(kept, sub(marks, i * size + 1, (i + 1) * size))
      end
      marks = table.concat(kept) .. sub(marks, most / 2 * size + 1)
    end
    return marks
  end

  -- Of what is used of a balance nothing is taken back: whoever keeps it is not told of an estimate,
  -- and knows better when it is told the next time.
  local function is_balance(counter)
    return sub(counter.key, -4) == ':$@0'
  end

  -- hold_ms: how long something held may still live, so that the counter outlives it.
  local function store(counter, hold_ms)
    local stored, till = counter.till, counter.till
    if is_balance(counter) then
      counter.slots = marked(counter)
    end
    if counter.kind == 'p' then
      -- A late event may still come. Where the period has become longer under the same start,
      -- a month that is now a year, the later end counts.
      till = counter.b == 0 and 0 or max(till, max(counter.b, now) + KEPT)
    else
      local needed = now + counter.b + 2 * counter.a + hold_ms + MARGIN
      if till < needed then
        till = needed + max(counter.b, MARGIN)
      end
    end
    counter.till = till
    if till == 0 and counter.used == 0 and counter.held == 0 then
      -- It would stand there for ever, for every user and session that ever ran something.
      call('DEL', counter.key)
    elseif till == 0 then
      call('SET', counter.key, written(counter))
    elseif till == stored then
      call('SET', counter.key, written(counter), 'KEEPTTL')
    else
      call('SET', counter.key, written(counter), 'PX', format('%d', till - now))
    end
  end

  -- When a sliding window's oldest use leaves it, 0 if there is none; a period's end is known.
  local function resets_at(counter)
    if counter.kind == 'p' then
      return counter.b
    end
    return counter.slots ~= '' and (counter.first + 1) * counter.a + counter.b or 0
  end

  -- When so many units more fit under a maximum, 0 if they never do. What is held counts as if
  -- it were used up in the present bucket: it cannot leave the window later than that.
  local function fits_at(counter, maximum, need)
    if counter.kind == 'p' then
      return counter.b
    elseif need > maximum then
      return 0
    end
    -- In this order no number passes 2^53, beyond which Lua would round.
    local room, used, width = maximum - need - counter.held, counter.used, counter.width
    for i = 0, #counter.slots / width - 1 do
      used = used - sub(counter.slots, i * width + 1, (i + 1) * width)
      if used <= room then
        return (counter.first + i + 1) * counter.a + counter.b
      end
    end
    return (floor(now / counter.a) + 1) * counter.a + counter.b
  end

  -- Counters are opened once, and stored at the end if they were changed.
  local function counter_of(entry)
    local key = prefix .. ':c:' .. entry.name
    if entry.kind == 'p' then
      key = format('%s@%d', key, entry.a)
    end
    local counter = opened[key]
    if not counter then
      counter = open(key, call('GET', key), entry.kind, entry.a, entry.b)
      opened[key] = counter
    elseif counter.kind == 'p' and entry.b > counter.b and counter.b > 0 then
      counter.b = entry.b
    end
    if entry.limit and entry.seen >= (counter.seen or 0) then
      counter.name, counter.seen = entry.name, entry.seen
      counter.limit, counter.included = entry.limit, entry.included
    end
    return counter
  end

  local function hold(counter, units)
    counter.held = max(0, min(counter.held + units, LARGEST))
    counter.changed = true
  end

  local function put(counter, bucket, units)
    local width, slots = counter.width, counter.slots
    local count = #slots / width
    if count == 0 then
      counter.first = bucket
    else
      -- Where the clock was set back, what is too old for a slot counts in the oldest.
      bucket = max(bucket, counter.first + count - 1 - BUCKETS)
    end
    local index = bucket - counter.first
    local before = index >= 0 and index < count
      and tonumber(sub(slots, index * width + 1, (index + 1) * width)) or 0
    local text = format('%d', max(0, before + units))
    if #text > width then
      slots = string.gsub(slots, rep('.', width), rep('0', #text - width) .. '%0')
      width = #text
    end
    text = rep('0', width - #text) .. text
    if index < 0 then
      slots = text .. rep('0', width * (-index - 1)) .. slots
      counter.first = bucket
    elseif index >= count then
      slots = slots .. rep('0', width * (index - count)) .. text
    else
      slots = sub(slots, 1, index * width) .. text .. sub(slots, (index + 1) * width + 1)
    end
    counter.width, counter.slots = width, slots
    counter.newest = counter.first + #slots / width - 1
  end

  -- Use in one bucket; what lies before a sliding window changes nothing.
  local function use(counter, bucket, units)
    units = min(units, LARGEST - counter.used)
    if units <= 0 then
      return
    end
    if counter.kind == 's' then
      if bucket < floor((now - counter.b) / counter.a) then
        return
      end
      put(counter, min(bucket, max(floor(now / counter.a), counter.newest)), units)
    end
    counter.used = counter.used + units
    counter.changed = true
  end

  -- Take use back, as far as it is still counted.
  local function unuse(counter, bucket, units)
    if is_balance(counter) then
      return
    elseif counter.kind == 's' then
      local index, width = bucket - counter.first, counter.width
      local there = tonumber(sub(counter.slots, index * width + 1, (index + 1) * width))
      if index < 0 or not there then
        return
      end
      units = min(units, there)
      put(counter, bucket, -units)
    end
    counter.used = max(0, counter.used - units)
    counter.changed = true
    if counter.slots ~= '' then
      -- An empty bucket is no oldest one.
      local value = leave_behind(written(counter), counter.first)
      counter.slots = sub(value, SLOTS + 1)
      counter.first = counter.newest + 1 - #counter.slots / counter.width
    end
  end

  -- Write what was changed; hold_ms as for `store`.
  local function store_changed(hold_ms)
    for key, counter in pairs(opened) do
      if counter.changed then
        store(counter, hold_ms or 0)
      end
      if counter.limit and (counter.used ~= counter.was or counter.paid ~= 0) then
        write_statement(counter)
      end
      opened[key] = nil
    end
  end

  return {
    counter_of = counter_of, fits_at = fits_at, hold = hold, open = open, resets_at = resets_at,
    store = store, store_changed = store_changed, unuse = unuse, use = use,
  }
end
