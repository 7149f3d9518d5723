-- Hold units in every counter, or in none: read all, decide, only then write.
--
-- KEYS[2]  the reservation's place; KEYS[3] the user's grants; KEYS[4...] the counters
-- ARGV[2]  reserve; extend: a live reservation instead; recall: the first answer or nothing
-- ARGV[3]  the place, the part of its token that says where it is kept
-- ARGV[4]  its record, with zeros for its time and its readings; an extension's operation id is
--          the decision in it
-- ARGV[5]  numbers, as doubles: milliseconds that it lives (an extension never shortens a life);
--          the periods of the counters hold from then until before then (0: for ever); counters
--          and limits, as in readings.lua
-- Returns  lines: 'held', epoch, expires at, or 'refused', epoch; and the readings of
--          readings.lua. Or 'known', epoch, expires at, tokens, nonce, decision: the first answer
--          again, without readings if it was given under other limits. Or lines alone:
--          'reused', epoch: the request id came with another body; 'unknown', epoch, or 'ended',
--          epoch, state: no live reservation to extend; 'period', epoch, now: they do not contain
--          it; 'again', epoch: so many are overdue that there may be room yet. The epoch is ''
--          where nothing was counted.

if more and exceeded then
  return 'again\n' .. epoch
elseif refused then
  return { 'refused\n' .. epoch, readings }
end

-- Where more is to be noted than what the client has written down.
local unusual = known or grants or exceeded or strange
if unusual then
  book = book or ledger()
  asked = asked or book.read_record(record)
  book.note(asked, values, offset, grants, known and #known.entries or 0)
  if #asked.draws > 0 then
    book.store_grants(KEYS[3], grants)
  end
end

if known then
  -- What is held already is to outlive the longer life too.
  local mine = {}
  for i = 1, count do
    mine[KEYS[i + offset]] = true
  end
  for _, entry in ipairs(known.entries) do
    local counter = book.counter_of(entry)
    if entry.held > 0 and not mine[counter.key] then
      book.store(counter, ttl)
    end
  end
end

position = counters_at
for i = 1, count do
  local a, b, units
  a, b, units, position = unpacked('<ddd', numbers, position)
  local key, value = KEYS[i + offset], values[i + offset]
  local used, held, first, stored, newest = 0, 0, 0, 0, 0
  if value then
    used, held, first, stored, newest = unpacked(NUMBERS, value)
  end
  held = held + (unusual and asked.entries[i].held or units)
  local till = stored
  if a == 0 then
    till = (b == 0 or stored < b) and b or stored
  elseif stored < now + b + 2 * a + ttl + MARGIN then
    till = now + b + 2 * a + ttl + MARGIN + max(b, MARGIN)
  end
  if till == stored and value and not (left and left[i]) then
    -- A number is printed before Redis takes it, and slowly: the offset is a text.
    call('SETRANGE', key, '8', pack('<d', held))
  else
    value = pack(NUMBERS, used, held, first, till, newest) .. sub(value or '', SLOTS + 1)
    if till == 0 then
      call('SET', key, value)
    elseif till == stored then
      call('SET', key, value, 'KEEPTTL')
    else
      call('SET', key, value, 'PX', format('%d', till - now))
    end
  end
end

local expiry = now + ttl
local expires = format('%d', expiry)
local lines = 'held\n' .. epoch .. '\n' .. expires
if known then
  known.expires, known.tokens = expiry, min(known.tokens + asked.tokens, LARGEST)
  book.extend(known, asked, earlier, readings)
  call('SET', known_key, book.text_of(known))
  lines = format('known\n%s\n%s\n%d\n%s\n%s', epoch, expires, known.tokens, known.nonce,
    asked.decision)
elseif unusual then
  asked.expires, asked.readings = expiry, readings
  call('SET', KEYS[2], book.text_of(asked))
else
  -- What is its own goes over the zeros: to join so long a text here would take longer.
  call('SET', KEYS[2], record)
  call('SETRANGE', KEYS[2], '0', pack('<dddd', expiry, now, 3 * count, 0) .. readings)
end
call('ZADD', prefix .. ':x', expires, place)
if due == 0 or expiry < due then
  call('SET', prefix, epoch .. ' ' .. expires)
end
return { lines, readings }
