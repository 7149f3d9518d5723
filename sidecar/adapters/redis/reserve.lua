-- Hold units in every counter, or in none: read all, decide, only then write.
--
-- KEYS[2]  the reservation's place; KEYS[3] the user's grants; KEYS[4...] the counters
-- ARGV[2]  reserve; extend: a live reservation instead; recall: the first answer or nothing
-- ARGV[3]  milliseconds that it lives; an extension never shortens a life
-- ARGV[4]  tokens granted
-- ARGV[5]  the place, the part of its token that says where it is kept
-- ARGV[6]  the first line of a record from `charges` on
-- ARGV[7]  lines 2 to 7 of a record; the decision in it is an extension's operation id
-- ARGV[8]  lines 11 to 13 of a record, no extension. The limits are a JSON list of lists, the
--          last of each the scopes of the grants that the limit draws; a commit shows them
-- ARGV[9], ARGV[10]  the periods of the counters hold from then until before then (0: for ever)
-- ARGV[11] n, the number of counters, then for each: a b amount; then limits: index of counter,
--          maximum (-1 for none), units needed, 1 if it is enforced
-- Returns  lines: 'held' or 'refused', epoch, expires at, readings: used held first of each
--          counter by blanks, as they were before this request's own units; where grants or
--          limits without room are among them, behind a semicolon fits_at granted of each limit.
--          Or 'known', epoch, expires at, readings, tokens, nonce, decision: the first answer
--          again, without readings if it was given under other limits. Or 'reused', epoch: the
--          request id came with another body; 'unknown', epoch, or 'ended', epoch, state: no
--          live reservation to extend; 'period', epoch, now: they do not contain it; 'again',
--          epoch: so many are overdue that there may be room yet. The epoch is '' where nothing
--          was counted.

local action, ttl, tokens, place, of, limits = ARGV[2], ARGV[3] + 0, ARGV[4], ARGV[5], ARGV[7], ARGV[8]

local values = call('MGET', unpack(KEYS))
local epoch, due, ended, more = read_head(values[1], action ~= 'recall')
if ended then
  values = call('MGET', unpack(KEYS))
end

-- Whether this was asked before, or what there is to extend: a live record.
local record, book
if action ~= 'reserve' or values[2] then
  stand_still()
  book = ledger()
  local nonce, fingerprint, decision = match(of, '^([^\n]*)\n([^\n]*)\n([^\n]*)')
  local limits_told = match(limits, '^[^\n]*')
  local function first_answer(known, decided, readings, under)
    return format('known\n%s\n%d\n%s\n%d\n%s\n%s', epoch, known.expires,
      under == limits_told and readings or '', known.tokens, known.nonce, decided)
  end
  if action == 'extend' then
    local known, key, at = book.find_record(place, nonce)
    if not known then
      local state = book.remembered_end(place, nonce)
      return state and 'ended\n' .. epoch .. '\n' .. state or 'unknown\n' .. epoch
    elseif known.state ~= 'held' then
      return 'ended\n' .. epoch .. '\n' .. known.state
    end
    local operation, readings, under, before =
      match(known.extension, '^([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$')
    if operation == decision then
      return first_answer(known, decision, readings, under)
    elseif operation and string.find(before, ' ' .. decision .. ' ', 1, true) then
      -- Another extension came in between: what was read before this one is not remembered.
      return first_answer(known, decision, '', limits_told)
    end
    record = known
    record.key, record.place, record.operation = key, at, decision
    record.before = operation and before .. operation .. ' ' or ' '
    ttl = max(ttl, record.expires - now)
  else
    local known = values[2] and book.read_record(values[2])
    if known and known.nonce ~= nonce and known.expires + REMEMBERED <= now then
      -- The id was used for something else long ago; what became of it may still be told.
      call('RENAME', KEYS[2], KEYS[2] .. known.nonce)
      if call('ZREM', prefix .. ':x', place) == 1 then
        call('ZADD', prefix .. ':x', format('%d', known.expires), place .. known.nonce)
      end
    elseif known and known.nonce ~= nonce and known.fingerprint ~= fingerprint then
      return 'reused\n' .. epoch
    elseif known then
      return first_answer(known, known.decision, known.readings, known.limits)
    end
    if action == 'recall' then
      return 'unknown\n' .. epoch
    end
  end
end

local ends = ARGV[10] + 0
if now < ARGV[9] + 0 or (ends > 0 and now >= ends) then
  return 'period\n' .. epoch .. '\n' .. format('%d', now)
end

local counters, readings, refused, exceeded, grants, is_early =
  look(values, 3, 11, values[3], values[3] and match(limits, '^[^\n]*'))
if more and exceeded then
  return 'again\n' .. epoch
elseif refused then
  return 'refused\n' .. epoch .. '\n0\n' .. readings
end

-- What of the amounts is over the allowances, and which grants pay it.
local paid_by, draws
-- Where the clock was set back, this counts in the newest bucket there is: use that is taken
-- for older than it is would leave its window too early.
local unusual = is_early
if grants then
  book = book or ledger()
  local entries, over, before = {}, {}, record and #record.entries or 0
  for i, given in ipairs(cjson.decode(match(of, '[^\n]*$'))) do
    local name, bound, amount = given[1], given[6], given[8]
    entries[i] = { name = name, scopes = given[7] }
    over[name] = bound < 0 and 0 or min(amount, max(0, counters[i][USED] - bound + counters[i][HELD] + amount))
  end
  book.pay(entries, grants, over, function(grant, units, names, indexes)
    grant.held, unusual = grant.held + units, true
    paid_by, draws = paid_by or {}, draws or {}
    for i, index in ipairs(indexes) do
      paid_by[index] = min(ARGV[11 + 3 * index] + 0, (paid_by[index] or 0) + units)
      indexes[i] = index + before
    end
    draws[#draws + 1] = { id = grant.id, held = units, used = 0, indexes = indexes }
  end)
  if draws then
    book.store_grants(KEYS[3], grants)
  end
end

if record then
  unusual = true
  -- What is held already is to outlive the longer life too.
  local mine = {}
  for i = 1, #counters do
    mine[KEYS[i + 3]] = true
  end
  for _, entry in ipairs(record.entries) do
    local counter = book.counter_of(entry)
    if entry.held > 0 and not mine[counter.key] then
      book.store(counter, ttl)
    end
  end
end

local position, units_held = 11, nil
for i, counter in ipairs(counters) do
  local a, b, amount = ARGV[position + 1], ARGV[position + 2], ARGV[position + 3] + 0
  if unusual or counter[HELD] + amount > LARGEST then
    unusual, units_held = true, units_held or {}
    amount = min(amount - (paid_by and paid_by[i] or 0), LARGEST - counter[HELD])
    units_held[i] = amount
  end
  local stored = counter[TILL]
  local till = stored
  if a == '0' then
    till = (b == '0' or till == '0' or till + 0 < b + 0) and b or till
  else
    local needed = now + b + 2 * a + ttl + MARGIN
    if till + 0 < needed then
      till = format('%d', needed + max(b + 0, MARGIN))
    end
  end
  local value = counter[USED] .. ' ' .. format('%d', counter[HELD] + amount) .. ' '
    .. counter[FIRST] .. ' ' .. till .. counter[REST]
  if till == '0' then
    call('SET', KEYS[i + 3], value)
  elseif till == stored then
    call('SET', KEYS[i + 3], value, 'KEEPTTL')
  else
    call('SET', KEYS[i + 3], value, 'PX', format('%d', till - now))
  end
  position = position + 3
end

local expiry = now + ttl
local expires = format('%d', expiry)
local held = ''
if unusual then
  -- Amounts and buckets are not what a reader of the record would take them for.
  local lines = {}
  for i, given in ipairs(cjson.decode(match(of, '[^\n]*$'))) do
    local bucket = given[3]
    if given[2] == 's' then
      bucket = max(floor(now / given[3]), match(counters[i][REST], '^ (%-?%d+)') + 0)
    end
    lines[i] = format('%d %d 0 0;', bucket, units_held and units_held[i] or given[8])
  end
  held = table.concat(lines)
end
if record then
  record.expires, record.tokens = expiry, min(record.tokens + tokens, LARGEST)
  record.extension = table.concat({ record.operation, readings, match(limits, '^[^\n]*'),
    record.before }, '\t')
  for _, draw in ipairs(draws or {}) do
    record.draws[#record.draws + 1] = draw
  end
  record.groups = record.groups .. ',' .. match(of, '[^\n]*$')
  call('SET', record.key, book.text_of(record, held))
  place = record.place
else
  local paying = ''
  for _, draw in ipairs(draws or {}) do
    paying = format('%s%s %d 0 %s;', paying, draw.id, draw.held, table.concat(draw.indexes, '.'))
  end
  call('SET', KEYS[2], 'held ' .. expires .. ' ' .. format('%d', now) .. ' ' .. tokens .. ' '
    .. ARGV[6] .. '\n' .. of .. '\n' .. held .. '\n' .. paying .. '\n' .. readings .. '\n' .. limits)
end
call('ZADD', prefix .. ':x', expires, place)
if due == 0 or expiry < due then
  call('SET', prefix, epoch .. ' ' .. expires)
end
if record then
  return format('known\n%s\n%s\n%s\n%d\n%s\n%s', epoch, expires, readings, record.tokens,
    record.nonce, record.operation)
end
return 'held\n' .. epoch .. '\n' .. expires .. '\n' .. readings
