-- How counters are read, changed and written once a call. What changes none by itself comes first;
-- the rest is a function, so that a call that only holds or reads does not pay for it. So is all
-- that follows.

-- What a counter holds now, from what stands under its key.
local function open(key, value, kind, a, b)
  local floor, unpacked = math.floor, struct.unpack
  local used, held, first, till, newest, slots = 0, 0, 0, 0, 0, ''
  if value then
    used, held, first, till, newest = unpacked(NUMBERS, value)
    local lowest = kind == 's' and floor((now - b) / a)
    if lowest and #value > SLOTS and first < lowest then
      value = leave_behind(value, lowest)
      used, held, first = unpacked(NUMBERS, value)
    end
    slots = string.sub(value, SLOTS + 1)
  end
  return {
    key = key, kind = kind, a = a, b = b, used = used, held = held, first = first, till = till,
    newest = newest, slots = slots, changed = false, was = used, paid = 0, is_new = not value,
    width = slots == '' and 1 or #slots / (newest - first + 1),
  }
end

-- Where the slots of a sliding window stand, a counter that is held against a balance has marks:
-- pairs of doubles, until when it held what, one for each second at most, and fewer of what is
-- longer ago. spending.py makes the same ones, and reads them.
local function marked(counter)
  local floor, sub = math.floor, string.sub
  local pack, unpacked = struct.pack, struct.unpack
  local marks, size, most = counter.slots, 16, 64
  if marks == '' then
    return pack('<dd', now, counter.used)
  end
  local at, before = unpacked('<dd', marks, #marks - size + 1)
  if before == counter.used then
    return marks
  end
  local till = math.max(now, at)
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

-- When so many units more fit under a maximum, 0 if they never do. What is held counts as if
-- it were used up in the present bucket: it cannot leave the window later than that.
local function fits_at(counter, maximum, need)
  local floor, sub = math.floor, string.sub
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

local function counting()
  local floor, max, min = math.floor, math.max, math.min
  local format = string.format
  local sub = string.sub
  local pack = struct.pack
  local call = redis.call
  local prefix = KEYS[1]
  local opened = {}

  local function put(counter, bucket, units)
    counter.slots, counter.first, counter.newest =
      put_use(counter.slots, counter.first, counter.newest, bucket, units)
    counter.width = #counter.slots / (counter.newest - counter.first + 1)
  end

  -- Of what is used of a balance nothing is taken back: whoever keeps it is not told of an estimate,
  -- and knows better when it is told the next time.
  local function is_balance(counter)
    return sub(counter.key, -4) == ':$@0'
  end

  -- hold_ms: how long something held may still live, so that the counter outlives it.
  local function store(counter, hold_ms)
    if is_balance(counter) then
      counter.slots = marked(counter)
    end
    counter.till = write_counter(counter.key, counter.kind, counter.a, counter.b, counter.till,
      hold_ms, counter.used, counter.held, counter.first, counter.newest, counter.slots)
  end

  local function resets_at(counter)
    return reset_of(counter.kind, counter.a, counter.b, counter.first, counter.slots)
  end

  local function key_of(entry)
    local key = prefix .. ':c:' .. entry.name
    return entry.kind == 'p' and format('%s@%d', key, entry.a) or key
  end

  -- Counters are opened once, and stored at the end if they were changed.
  -- value: what stands there, false for nothing, nil if that is not known yet
  local function counter_of(entry, value)
    local key = key_of(entry)
    local counter = opened[key]
    if not counter then
      if value == nil then
        value = call('GET', key)
      end
      counter = open(key, value, entry.kind, entry.a, entry.b)
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
      local value = leave_behind(pack(NUMBERS, counter.used, counter.held, counter.first,
        counter.till, counter.newest) .. counter.slots, counter.first)
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
        local is_noted = not counter.is_new and add_to_statement(counter.name, counter.a,
          counter.b, counter.used - counter.was, counter.paid, counter.seen, counter.limit,
          counter.included)
        if not is_noted then
          write_statement(counter)
        end
      end
      opened[key] = nil
    end
  end

  return {
    counter_of = counter_of, hold = hold, key_of = key_of, resets_at = resets_at, store = store,
    store_changed = store_changed, unuse = unuse, use = use,
  }
end
