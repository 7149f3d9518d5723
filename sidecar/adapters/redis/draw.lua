-- Charge what children of leases have used, as nearly all of them end, in the least that it takes;
-- lease.lua does the same for the others, and says what a child is.
--
-- A commit is final, comes while its lease lives, is of no session, and its user has no grants.
-- What is otherwise is not touched, and is to be asked of lease.lua.
--
-- KEYS     for each app what its keys begin with, and that with a ':' behind, which is never there
--          (see `stand_still` in ledger.lua); then for each lease its record, the grants of its
--          user and its counters
-- ARGV[2]  how many apps there are; then for each lease
--            which of them is its own, place, nonce, user
--            its counters, as doubles: 1 if it is a sliding window, a, b, the amount that was asked
--            those with statements, a line each: index name limit included
--            kept, as doubles, see lease.lua; '' to give nothing back
--            how many children end, and for each of these
--              its token, its end as it is remembered, its dimensions
--              as doubles: when it was handed out, what is to be reported of it: tokens input
--              output cost, and units by counter
-- Returns  lines: 'ok', the epoch of each app, and a letter for each child: c if it is committed, o
--          if it is to be asked of lease.lua, x if all of its lease are; and, as doubles, of each
--          lease that has none of the last: used held resets_at by counter

local apps, epochs, is_closed = {}, { 'ok' }, {}
local letters, told, is_stale = {}, {}, {}
local values = call('MGET', unpack(KEYS))

-- Where in a record the holds of its counters stand, and when it was made and expires; nil if
-- anything is not as it is of nearly all.
local function holds_in(value, nonce)
  local find = string.find
  local expires, made, readings, extended, begin = unpacked('<dddd', value)
  local from = begin + 8 * readings
  if extended > 0 or expires <= now or sub(value, from, from + 4) ~= 'held ' then
    return nil
  end
  from = find(value, '\n', from, true) + 1
  if sub(value, from, from + #nonce) ~= nonce .. '\n' then
    return nil
  end
  for _ = 2, 7 do
    from = find(value, '\n', from, true) + 1
  end
  local to = find(value, '\n', from, true)
  if sub(value, to + 1, to + 1) ~= '\n' then
    return nil
  end
  return from, to, made, expires
end

-- Which of the children have not ended before, with their numbers; their ends are noted.
local function begin_ends(place, at, count, size)
  local fresh, span = {}, span_of('t', place, 0, now)
  local numbers = '<' .. string.rep('d', 5 + size)
  for i = 1, count do
    local token, ending, dimensions, given = unpack(ARGV, at, at + 3)
    at = at + 4
    if call('HSETNX', span, token, ending) == 1 then
      letters[#letters + 1] = 'c'
      local child = { unpacked(numbers, given) }
      child.dimensions = dimensions
      fresh[#fresh + 1] = child
    else
      letters[#letters + 1] = 'o'
    end
  end
  if #fresh > 0 then
    keep_span(span, call('HLEN', span), #fresh)
  end
  return fresh
end

local function draw(app, place, nonce, user, form, stated, kept, count, at, first)
  local value, size = values[first], #form / 32
  local from, to, made, expires
  if value and not values[first + 1] and not is_closed[app] then
    from, to, made, expires = holds_in(value, nonce)
  end
  -- What ended before is looked for in the present span alone.
  local is_plain = from and span_of('t', place, 0, made) == span_of('t', place, 0, now)
  for i = 1, size do
    local key = KEYS[first + 1 + i]
    if is_plain and is_stale[key] then
      values[first + 1 + i] = call('GET', key)
    end
    is_plain = is_plain and values[first + 1 + i]
  end
  if not is_plain then
    for _ = 1, count do
      letters[#letters + 1] = 'x'
    end
    return
  end

  local entries, holds = {}, {}
  for bucket, held, drawn in string.gmatch(sub(value, from, to - 1), '(%-?%d+) (%d+) (%d+) %d+;') do
    entries[#entries + 1] = { bucket + 0, held + 0, drawn + 0 }
  end
  local fresh = begin_ends(place, at, count, size)
  for i = 1, size do
    local is_sliding, a, b, asked = unpacked('<dddd', form, 32 * i - 31)
    local key, kind, stands = KEYS[first + 1 + i], is_sliding == 1 and 's' or 'p', nil
    stands = values[first + 1 + i]
    local entry, lowest = entries[i], nil
    if not entry then
      entry = { kind == 's' and floor(made / a) or a, asked, 0 }
    end
    local used, held, oldest, till, newest = unpacked(NUMBERS, stands)
    if kind == 's' then
      lowest = floor((now - b) / a)
      if oldest < lowest and #stands > SLOTS then
        stands = leave_behind(stands, lowest)
        used, held, oldest = unpacked(NUMBERS, stands)
      end
    end
    local before, total, slots = used, 0, sub(stands, SLOTS + 1)
    local pending, into = 0, nil   -- what is not in its bucket yet, and which that is
    for j = 1, #fresh + 1 do
      local child = fresh[j]
      local units, bucket = child and child[5 + i] or 0, nil
      if child and kind == 's' then
        -- It counts from when it was handed out.
        bucket = min(max(entry[1], floor(child[1] / a)), max(floor(now / a), newest))
      end
      if pending > 0 and (not child or bucket ~= into) then
        if lowest then
          slots, oldest, newest = put_use(slots, oldest, newest, into, pending)
        end
        used, pending = used + pending, 0
      end
      total, into = total + units, bucket
      -- Use that has left a sliding window changes nothing.
      if units > 0 and (not lowest or bucket >= lowest) then
        pending = pending + min(units, LARGEST - used - pending)
      end
    end
    local drawn = min(total, entry[2])
    entry[2], entry[3] = entry[2] - drawn, min(entry[3] + total, LARGEST)
    if kept ~= '' then
      -- What nobody has goes back.
      local back = max(0, entry[2] - unpacked('<d', kept, 8 * i - 7))
      entry[2], drawn = entry[2] - back, drawn + back
    end
    if drawn > 0 or used ~= before then
      held = max(0, held - drawn)
      write_counter(key, kind, a, b, till, expires - now, used, held, oldest, newest, slots)
      is_stale[key] = true
    end
    holds[i] = format('%d %d %d 0;', unpack(entry))
    told[#told + 1] = pack('<ddd', used, held, reset_of(kind, a, b, oldest, slots))
    if used ~= before and kind == 'p' and stated ~= '' then
      for index, name, limit, included in
        string.gmatch(stated, '(%d+) (%S+) (%S+) (%-?%d+)\n') do
        if index + 0 == i
          and not add_to_statement(name, a, b, used - before, 0, made, limit, included) then
          write_statement({
            name = name, a = a, b = b, used = used, was = before, paid = 0, seen = made,
            limit = limit, included = included + 0, is_new = false,
          })
        end
      end
    end
  end
  call('SET', KEYS[first], sub(value, 1, from - 1) .. table.concat(holds) .. sub(value, to))

  local hour, sums = floor(now / 3600000), {}
  for _, child in ipairs(fresh) do
    local sum = sums[child.dimensions]
    if sum then
      for i = 2, 5 do
        sum[i] = min(sum[i] + child[i], LARGEST)
      end
      sum.requests = sum.requests + 1
    else
      child.requests, sums[child.dimensions] = 1, child
    end
  end
  for dimensions, sum in pairs(sums) do
    report(hour, user, dimensions, sum[2], sum[3], sum[4], sum.requests, sum[5])
  end
end

local behind = ARGV[2] + 0
for i = 1, behind do
  local head = values[2 * i - 1]
  local due = head and sub(head, 18) + 0 or 0
  apps[i], epochs[i + 1] = KEYS[2 * i - 1], head and sub(head, 1, 16) or ''
  is_closed[i] = not head or (due > 0 and due <= now)
end
local at, first = 3, 2 * behind + 1
while ARGV[at] do
  local app, place, nonce, user, form, stated, kept, count = unpack(ARGV, at, at + 7)
  app, count = app + 0, count + 0
  -- All that is told of keys begins with the app's own.
  KEYS[1] = apps[app]
  draw(app, place, nonce, user, form, stated, kept, count, at + 8, first)
  at, first = at + 8 + 4 * count, first + 2 + #form / 32
end
return { table.concat(epochs, '\n') .. '\n' .. table.concat(letters), table.concat(told) }
