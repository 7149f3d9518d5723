-- How a reservation is written down.
--
-- A reservation stands under <prefix>:r:<place>. It begins with numbers, as doubles: expires
-- made m n, then m that are its readings as they were told, and n that are those of its latest
-- extension; then come lines:
--   1  state tokens charges requests told: tokens input output cost, rates: input output;
--      - state is held, committed or released, and what is held in it beyond its expiry has
--      expired; charges: 1 if expiry charges what is held; requests: 1 if it was counted as one
--   2  nonce: which of the reservations that were made in this place
--   3  fingerprint of the request   4  decision
--   5  user, for <prefix>:g:<user> and reports, and session, for <prefix>:z:<session>, by a blank
--   6  model workflow agent plugin, by tabs
--   7  JSON of its counters, in groups: [[name kind a b meter bound [scopes] amount limit
--      included] ...], ...; - the last two where there are statements (-1: no bound);
--      they stand under <prefix>:c:<name>, periods with @a behind. Kind is p (a, b: start and
--      end, 0 for never) or s (a, b: width of a bucket and length)
--   8  for each counter: bucket held drawn paid; - paid: units that grants paid for, or that a
--      session was counted before. Or nothing: the amounts are held as they were asked
--   9  for each grant that pays: id held used index.index...; - which counters it pays in
--   10 JSON of the limits, a list of lists, the last of each the scopes of the grants that the
--      limit draws; a commit shows them
--   11 of the latest extension: decision, limits, the decisions of those before it, by tabs
--   12 the request

-- pay: from purses.lua.
local function records(pay)
  local floor, max, min = math.floor, math.max, math.min
  local find, format, gmatch, match = string.find, string.format, string.gmatch, string.match
  local sub = string.sub
  local pack, unpacked = struct.pack, struct.unpack

  local function read_record(value)
    local expires, made, first, last, begin = unpacked('<dddd', value)
    local between = begin + 8 * first
    local behind = between + 8 * last
    local lines, from = {}, behind
    for i = 1, 11 do
      local to = find(value, '\n', from, true)
      lines[i] = sub(value, from, to - 1)
      from = to + 1
    end
    local state, tokens, charges, requests, t, i, o, c, rate_in, rate_out = match(lines[1],
      '^(%l+) (%d+) (%d) (%d) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
    local user, session = match(lines[5], '^(%S*) ?(%S*)$')
    local record = {
      state = state, expires = expires, made = made, tokens = tokens + 0, charges = charges == '1',
      requests = requests + 0, rate_in = rate_in + 0, rate_out = rate_out + 0,
      told = { tokens = t + 0, input_tokens = i + 0, output_tokens = o + 0, cost = c + 0 },
      nonce = lines[2], fingerprint = lines[3], decision = lines[4], user = user, session = session,
      dimensions = lines[6], groups = lines[7], limits = lines[10],
      readings = sub(value, begin, between - 1), told_last = sub(value, between, behind - 1),
      extension = lines[11], request = sub(value, from), entries = {}, draws = {},
    }
    local entries = record.entries
    for _, group in ipairs(cjson.decode('[' .. lines[7] .. ']')) do
      for _, given in ipairs(group) do
        table.insert(entries, {
          name = given[1], kind = given[2], a = given[3], b = given[4], meter = given[5],
          bound = given[6], scopes = given[7], held = given[8], drawn = 0, paid = 0,
          bucket = given[2] == 'p' and given[3] or floor(record.made / given[3]),
          limit = given[9], included = given[10], seen = record.made,
        })
      end
    end
    local position = 0
    for bucket, held, drawn, paid in gmatch(lines[8], '(%-?%d+) (%d+) (%d+) (%d+);') do
      position = position + 1
      local entry = entries[position]
      entry.bucket, entry.held, entry.drawn, entry.paid = bucket + 0, held + 0, drawn + 0, paid + 0
    end
    for id, held, used, indexes in gmatch(lines[9], '(%S+) (%d+) (%d+) ([%d%.]+);') do
      local draw = { id = id, held = held + 0, used = used + 0, indexes = {} }
      for index in gmatch(indexes, '%d+') do
        table.insert(draw.indexes, index + 0)
      end
      table.insert(record.draws, draw)
    end
    return record
  end

  local function text_of(record)
    local entries, draws, told = {}, {}, record.told
    for i, entry in ipairs(record.entries) do
      entries[i] = format('%d %d %d %d;', entry.bucket, entry.held, entry.drawn, entry.paid)
    end
    for i, draw in ipairs(record.draws) do
      draws[i] = format('%s %d %d %s;', draw.id, draw.held, draw.used,
        table.concat(draw.indexes, '.'))
    end
    local head = pack('<dddd', record.expires, record.made, #record.readings / 8,
      #record.told_last / 8)
    return head .. record.readings .. record.told_last .. table.concat({
      format('%s %d %d %d %d %d %d %d %d %d', record.state, record.tokens,
        record.charges and 1 or 0, record.requests, told.tokens, told.input_tokens,
        told.output_tokens, told.cost, record.rate_in, record.rate_out),
      record.nonce, record.fingerprint, record.decision,
      format('%s %s', record.user, record.session), record.dimensions, record.groups,
      table.concat(entries), table.concat(draws), record.limits, record.extension, record.request,
    }, '\n')
  end

  -- Note in the record of a new hold, be it part of another, what its client could not know.
  -- values, offset: as readings.lua leaves them; before: entries that stand before its own.
  local function note(asked, values, offset, grants, before)
    local over, paid_by, room, entries = {}, {}, {}, asked.entries
    for i, entry in ipairs(entries) do
      local counter = open(nil, values[i + offset], entry.kind, entry.a, entry.b)
      local used, held = counter.used, counter.held
      over[entry.name] = entry.bound < 0 and 0
        or min(entry.held, max(0, used - entry.bound + held + entry.held))
      room[i] = LARGEST - held
      if entry.kind == 's' then
        -- Where the clock was set back, this counts in the newest bucket there is: use that is
        -- taken for older than it is would leave its window too early.
        entry.bucket = max(floor(now / entry.a), counter.newest)
      end
    end
    asked.made = now
    -- What of the amounts is over the allowances, and which grants pay it.
    pay(entries, grants or {}, over, function(grant, units, _, indexes)
      grant.held = grant.held + units
      for i, index in ipairs(indexes) do
        paid_by[index] = min(entries[index].held, (paid_by[index] or 0) + units)
        indexes[i] = index + before
      end
      table.insert(asked.draws, { id = grant.id, held = units, used = 0, indexes = indexes })
    end)
    for i, entry in ipairs(entries) do
      entry.held = min(entry.held - (paid_by[i] or 0), room[i])
    end
  end

  -- The latest extension of a record; its decision is nil where there was none.
  local function read_extension(record)
    local decision, limits, earlier = match(record.extension, '^([^\t]*)\t([^\t]*)\t(.*)$')
    return { decision = decision, limits = limits, earlier = earlier or '' }
  end

  -- Add to a record what is asked later. earlier: the decisions of the extensions before it.
  local function extend(record, asked, earlier, readings)
    record.extension = table.concat({ asked.decision, asked.limits, earlier }, '\t')
    record.told_last = readings
    record.groups = record.groups .. ',' .. asked.groups
    for _, entry in ipairs(asked.entries) do
      table.insert(record.entries, entry)
    end
    for _, draw in ipairs(asked.draws) do
      table.insert(record.draws, draw)
    end
  end

  -- What a reservation was charged and what it still holds, by counter; grants' part included.
  local function sums_of(record)
    local told, held = {}, {}
    for _, entry in ipairs(record.entries) do
      told[entry.name] = min((told[entry.name] or 0) + entry.drawn + entry.paid, LARGEST)
      held[entry.name] = min((held[entry.name] or 0) + entry.held, LARGEST)
    end
    for _, draw in ipairs(record.draws) do
      local seen = {}
      for _, index in ipairs(draw.indexes) do
        local name = record.entries[index].name
        if not seen[name] then
          seen[name] = true
          held[name] = min(held[name] + draw.held, LARGEST)
        end
      end
    end
    return told, held
  end

  return {
    extend = extend, note = note, read = read_record, read_extension = read_extension,
    sums_of = sums_of, text_of = text_of,
  }
end
