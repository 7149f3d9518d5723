-- How one counter is changed and written. What it is stands in plain numbers, not in tables, for
-- finish.lua; counting.lua has tables for whoever looks at a counter more often than once.

-- More or less use in the bucket of a sliding window. Returns its slots, the first and the newest.
local function put_use(slots, first, newest, bucket, units)
  local BUCKETS, max = 60, math.max
  local format, rep, sub = string.format, string.rep, string.sub
  local count, width, before = 0, 1, 0
  if slots == '' then
    first = bucket
  else
    count = newest - first + 1
    width = #slots / count
    -- Where the clock was set back, what is too old for a slot counts in the oldest.
    bucket = max(bucket, newest - BUCKETS)
  end
  local index = bucket - first
  if index >= 0 and index < count then
    before = sub(slots, index * width + 1, (index + 1) * width)
  end
  local text = format('%d', max(0, before + units))
  if #text > width then
    slots = string.gsub(slots, rep('.', width), rep('0', #text - width) .. '%0')
    width = #text
  elseif #text < width then
    text = rep('0', width - #text) .. text
  end
  if index < 0 then
    return text .. rep('0', width * (-index - 1)) .. slots, bucket, first + count - 1
  elseif index >= count then
    return slots .. rep('0', width * (index - count)) .. text, first, bucket
  end
  return sub(slots, 1, index * width) .. text .. sub(slots, (index + 1) * width + 1), first,
    first + count - 1
end

-- When a sliding window's oldest use leaves it, 0 if there is none; a period's end is known.
local function reset_of(kind, a, b, first, slots)
  if kind == 'p' then
    return b
  end
  return slots ~= '' and (first + 1) * a + b or 0
end

-- Write a counter. Returns until when it is kept now.
-- till: until when it was; hold_ms: how long something held may still live
local function write_counter(key, kind, a, b, till, hold_ms, used, held, first, newest, slots)
  local KEPT = 8 * 86400000        -- beyond a period's end: a late event may still come
  local call, max = redis.call, math.max
  local stored = till
  if kind == 'p' then
    -- A late event may still come. Where the period has become longer under the same start,
    -- a month that is now a year, the later end counts.
    till = b == 0 and 0 or max(till, max(b, now) + KEPT)
  else
    local needed = now + b + 2 * a + hold_ms + MARGIN
    if till < needed then
      till = needed + max(b, MARGIN)
    end
  end
  if till == 0 and used == 0 and held == 0 then
    -- It would stand there for ever, for every user and session that ever ran something.
    call('DEL', key)
    return 0
  end
  local value = struct.pack(NUMBERS, used, held, first, till, newest) .. slots
  if till == 0 then
    call('SET', key, value)
  elseif till == stored then
    call('SET', key, value, 'KEEPTTL')
  else
    call('SET', key, value, 'PX', string.format('%d', till - now))
  end
  return till
end
