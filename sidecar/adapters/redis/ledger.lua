-- What is not needed when units are only held or read. A function, so that such a call does not
-- pay for it.
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
-- The sorted set <prefix>:x has the places of those that hold, by expiry. A live one has no
-- TTL: whoever calls next after its expiry gives back what it holds, and could not if it were
-- gone.
--
-- What is left of an ended one after a while, a field of <prefix>:t:<span>:<shard>:
--   state expires/1000 tokens told - under its token, for KEPT at least.
--
-- The grants of a user stand under <prefix>:g:<user>, in the order in which they are drawn, each
-- a line: id scope amount used held effective expires revoked changed reason
--
-- Reports stand under <prefix>:u:<day> for all users and <prefix>:u:<day>:<user>, a hash:
--   hour model workflow agent plugin, by tabs -> tokens input output requests cost

local function ledger()
  local floor, max, min = math.floor, math.max, math.min
  local find, format, gmatch, match = string.find, string.format, string.gmatch, string.match
  local rep, sub = string.rep, string.sub
  local pack, unpacked = struct.pack, struct.unpack
  local call = redis.call
  local prefix = KEYS[1]
  local DAY = 86400000
  local KEPT = 7 * DAY             -- ended reservations
  local LASTS = format('%d', KEPT + DAY)
  local BUCKETS = 60
  local REAP = 128                 -- overdue reservations that one call ends
  local SPAN, SPANS = 2 * DAY, 5   -- ends and events are remembered by spans: 8 days at least
  local REPORTED = 90 * DAY
  local ROWS, ROWS_OF_USER = 4096, 512
  local expiries = prefix .. ':x'
  local opened, grants_of = {}, {}

  -- To be called before a script that finds out itself which keys it needs writes any. On a
  -- Cluster, where the slot is being moved, a key that is not there ends a script, and what it
  -- wrote before would stay: half a commit. This one is never there, so there the script ends
  -- before it began.
  local function stand_still()
    call('EXISTS', prefix .. ':')
  end

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
      till = counter.b == 0 and 0 or max(till, max(counter.b, now) + KEPT + DAY)
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

  -- Grants have paid for units in the counter of an entry, or get them back.
  local function paid_in(entry, units)
    local counter = counter_of(entry)
    counter.paid = min(counter.paid + units, LARGEST)
  end

  local function paid_by(draw, entries, units)
    local seen = {}
    for _, index in ipairs(draw.indexes) do
      local entry = entries[index]
      if not seen[entry.name] then
        seen[entry.name] = true
        paid_in(entry, units)
      end
    end
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

  -- Grants ------------------------------------------------------------------------------------

  local function read_grants(value)
    local grants = {}
    for id, scope, amount, used, held, effective, expires, revoked, changed, reason in
      gmatch(value or '', '(%S+) (%S+) (%d+) (%d+) (%d+) (%-?%d+) (%d+) (%d) (%d+) ([^\n]*)\n') do
      table.insert(grants, {
        id = id, scope = scope, amount = amount + 0, used = used + 0, held = held + 0,
        effective = effective + 0, expires = expires + 0, revoked = revoked == '1',
        changed_at = changed + 0, reason = reason,
      })
    end
    return grants
  end

  local function line_of(grant)
    return format('%s %s %d %d %d %d %d %d %d %s\n', grant.id, grant.scope, grant.amount, grant.used,
      grant.held, grant.effective, grant.expires, grant.revoked and 1 or 0, grant.changed_at,
      grant.reason)
  end

  local function store_grants(key, grants)
    local lines, till = {}, 0
    for i, grant in ipairs(grants) do
      lines[i] = line_of(grant)
      till = grant.expires == 0 and math.huge or max(till, grant.expires)
    end
    call('SET', key, table.concat(lines))
    if till < math.huge then
      call('PEXPIRE', key, format('%d', max(till - now, 0) + 91 * DAY))
    end
  end

  local function purse_of(user)
    local purse = grants_of[user]
    if not purse then
      purse = { key = prefix .. ':g:' .. user, by_id = {} }
      purse.grants = read_grants(call('GET', purse.key))
      for _, grant in ipairs(purse.grants) do
        purse.by_id[grant.id] = grant
      end
      grants_of[user] = purse
    end
    return purse
  end

  -- What a grant can pay now.
  local function left(grant)
    if grant.revoked or grant.effective > now or (grant.expires > 0 and grant.expires <= now) then
      return 0
    end
    return max(0, grant.amount - grant.used - grant.held)
  end

  local function granted(grants, scopes)
    local units = 0
    for _, grant in ipairs(grants) do
      for _, scope in ipairs(scopes) do
        if scope == grant.scope then
          units = min(units + left(grant), LARGEST)
        end
      end
    end
    return units
  end

  local function draws_from(entry, grant)
    for _, scope in ipairs(entry.scopes) do
      if scope == grant.scope then
        return true
      end
    end
    return false
  end

  -- Let grants pay, in their order, what is over in the counters of these entries. A unit that
  -- is paid is paid in every counter that draws the grant.
  -- over: units by name, less when it returns; paid: told each grant, its units, and the names
  -- with the indexes of the entries that it pays in.
  local function pay(entries, grants, over, paid)
    for _, grant in ipairs(grants) do
      local most, names, indexes = 0, {}, {}
      for i, entry in ipairs(entries) do
        if draws_from(entry, grant) and over[entry.name] then
          names[entry.name] = true
          table.insert(indexes, i)
          most = max(most, over[entry.name])
        end
      end
      local units = min(left(grant), most)
      if units > 0 then
        grant.changed_at = now
        paid(grant, units, names, indexes)
        for name in pairs(names) do
          over[name] = max(0, over[name] - units)
        end
      end
    end
  end

  -- Reservations ------------------------------------------------------------------------------

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

  -- Take so many units out of what reservations hold of a grant; `used` of them are used now.
  local function settle_grant(user, id, units, used)
    local purse = purse_of(user)
    local grant = purse.by_id[id]
    if grant then
      grant.held, grant.used = max(0, grant.held - units), max(0, grant.used + used)
      grant.changed_at, purse.changed = now, true
    end
  end

  -- Give back all that a reservation holds.
  local function let_go(record)
    for _, entry in ipairs(record.entries) do
      if entry.held > 0 then
        hold(counter_of(entry), -entry.held)
        entry.held = 0
      end
    end
    for _, draw in ipairs(record.draws) do
      if draw.held > 0 then
        settle_grant(record.user, draw.id, draw.held, 0)
        draw.held = 0
      end
    end
  end

  -- Count what is held as used until somebody says better; the record keeps it as held.
  local function estimate(record)
    for _, entry in ipairs(record.entries) do
      if entry.held > 0 then
        local counter = counter_of(entry)
        hold(counter, -entry.held)
        if entry.meter ~= 'concurrency' then
          use(counter, entry.bucket, entry.held)
        end
      end
    end
    for _, draw in ipairs(record.draws) do
      if draw.held > 0 then
        settle_grant(record.user, draw.id, draw.held, draw.held)
        paid_by(draw, record.entries, draw.held)
      end
    end
  end

  -- What an expired reservation holds no more, and what its expiry charged comes back.
  local function correct(record)
    for _, entry in ipairs(record.entries) do
      if record.charges and entry.held > 0 and entry.meter ~= 'concurrency' then
        unuse(counter_of(entry), entry.bucket, entry.held)
      end
      entry.held = 0
    end
    for _, draw in ipairs(record.draws) do
      if record.charges and draw.held > 0 then
        settle_grant(record.user, draw.id, 0, -draw.held)
        paid_by(draw, record.entries, -draw.held)
      end
      draw.held = 0
    end
  end

  -- Charge what is due by name: first what is held of the allowance, then what is held of
  -- grants, then what is free of the allowance, then what is left in grants; what nobody pays
  -- for is charged past the maximum.
  -- entries and draws as in a record; last: the entry of each name that takes the excess.
  local function charge(entries, draws, due, last, user)
    for _, entry in ipairs(entries) do
      local units = min(due[entry.name] or 0, entry.held)
      if units > 0 then
        local counter = counter_of(entry)
        hold(counter, -units)
        use(counter, entry.bucket, units)
        entry.held, entry.drawn = entry.held - units, min(entry.drawn + units, LARGEST)
        due[entry.name] = due[entry.name] - units
      end
    end
    local by_id = {}
    for _, draw in ipairs(draws) do
      by_id[draw.id] = draw
      local most = 0
      for _, index in ipairs(draw.indexes) do
        most = max(most, due[entries[index].name] or 0)
      end
      local units = min(draw.held, most)
      if units > 0 then
        settle_grant(user, draw.id, units, units)
        draw.held, draw.used = draw.held - units, draw.used + units
        local seen = {}
        for _, index in ipairs(draw.indexes) do
          local name = entries[index].name
          if not seen[name] then
            seen[name] = true
            local paid = min(due[name] or 0, units)
            due[name] = (due[name] or 0) - paid
            last[name].paid = last[name].paid + paid
            paid_in(last[name], paid)
          end
        end
      end
    end
    -- As for a hold: what grants pay, they pay in every counter that draws them.
    local over, paid, is_over = {}, {}, false
    for name, units in pairs(due) do
      if units > 0 then
        local entry = last[name]
        local counter = counter_of(entry)
        -- Use that has left a sliding window changes nothing, and nobody pays for it.
        local is_gone = counter.kind == 's' and entry.bucket < floor((now - counter.b) / counter.a)
        over[name] = 0
        if entry.bound >= 0 and not is_gone then
          over[name] = max(0, units - max(0, entry.bound - counter.used - counter.held))
          is_over = is_over or (over[name] > 0 and #entry.scopes > 0)
        end
      end
    end
    if is_over then
      local purse = purse_of(user)
      pay(entries, purse.grants, over, function(grant, units, names, indexes)
        grant.used, purse.changed = grant.used + units, true
        for name in pairs(names) do
          paid[name] = min(due[name], (paid[name] or 0) + units)
        end
        local draw = by_id[grant.id]
        if not draw then
          draw = { id = grant.id, held = 0, used = 0, indexes = indexes }
          by_id[grant.id] = draw
          table.insert(draws, draw)
        end
        draw.used = draw.used + units
      end)
    end
    for name in pairs(over) do
      local entry, units = last[name], due[name] - (paid[name] or 0)
      entry.paid = min(entry.paid + (paid[name] or 0), LARGEST)
      paid_in(entry, paid[name] or 0)
      use(counter_of(entry), entry.bucket, units)
      entry.drawn = min(entry.drawn + units, LARGEST)
    end
  end

  -- What tokens cost at the rates of a hold, in micro-units, rounded up; whole millions apart,
  -- so that no step passes 2^53. What is not told to have come in or gone out is counted at the
  -- dearer rate.
  local function cost_of(record, tokens, received, sent)
    received, sent = max(0, received), max(0, sent)
    local whole, rest = 0, 0
    for _, part in ipairs({
      { record.rate_in, received }, { record.rate_out, sent },
      { max(record.rate_in, record.rate_out), max(0, tokens - received - sent) },
    }) do
      whole = whole + floor(part[2] / 1000000) * part[1]
      rest = rest + part[2] % 1000000 * part[1]
    end
    return min(whole + math.ceil(rest / 1000000), LARGEST)
  end

  -- Charge a reservation in the buckets of its hold: the total use so far, of which what it was
  -- told before is part, or, `additional`, what comes to it. Of what is not told (-1) nothing is
  -- charged, unless the reservation `finishes`: then it is what is held, within the tokens.
  -- spare: told what is due, by name, and the last entry of each, before that is charged.
  local function draw(record, amounts, additional, finishes, spare)
    local told, held = sums_of(record)
    local due, last = {}, {}
    for _, entry in ipairs(record.entries) do
      local name, amount = entry.name, amounts[entry.meter] or 0
      if amount < 0 then
        amount = finishes and min(told[name] + held[name], amounts.tokens) or 0
      end
      due[name] = additional and amount or max(0, amount - told[name])
      last[name] = entry
    end
    spare(due, last)
    charge(record.entries, record.draws, due, last, record.user)
  end

  -- End reservations that are overdue: what they hold is nobody's.
  local function expire(places)
    local keys = {}
    for i, place in ipairs(places) do
      keys[i] = prefix .. ':r:' .. place
    end
    for i, value in ipairs(call('MGET', unpack(keys))) do
      if value then
        local record = read_record(value)
        if record.charges then
          estimate(record)
        else
          let_go(record)
        end
        call('PEXPIRE', keys[i], LASTS)
      end
    end
    call('ZREM', expiries, unpack(places))
  end

  -- Write what was changed; hold_ms as for `store`.
  local function store_all(hold_ms)
    for key, counter in pairs(opened) do
      if counter.changed then
        store(counter, hold_ms or 0)
      end
      if counter.limit and (counter.used ~= counter.was or counter.paid ~= 0) then
        write_statement(counter)
      end
      opened[key] = nil
    end
    for user, purse in pairs(grants_of) do
      if purse.changed then
        store_grants(purse.key, purse.grants)
      end
      grants_of[user] = nil
    end
  end

  -- End overdue reservations, a bounded number at a time. What they held is stored before
  -- anything else is read. Returns the head's due, and whether some are overdue still.
  local function reap(epoch)
    local overdue = call('ZRANGEBYSCORE', expiries, '-inf', format('%d', now), 'LIMIT', 0, REAP)
    if #overdue > 0 then
      expire(overdue)
      store_all()
    end
    local earliest = call('ZRANGE', expiries, 0, 0, 'WITHSCORES')
    local due = tonumber(earliest[2] or 0)
    call('SET', prefix, format('%s %d', epoch, due))
    return due, due > 0 and due <= now
  end

  -- The record of a token, and its key; what is overdue is ended.
  local function find_record(place, nonce)
    local key = prefix .. ':r:' .. place
    local value = call('GET', key)
    local record = value and read_record(value)
    if not record or record.nonce ~= nonce then
      place = place .. nonce
      key = prefix .. ':r:' .. place
      value = nonce ~= '' and call('GET', key)
      record = value and read_record(value)
    end
    if record and record.state ~= 'held' and record.expires + REMEMBERED <= now then
      return nil
    elseif record and record.state == 'held' and record.expires <= now then
      if call('ZSCORE', expiries, place) then
        expire({ place })
        store_all()
      end
      record.state = 'expired'
    end
    return record, key, place
  end

  -- Where what is remembered may lie, the present span first, and how long that one lives.
  local function spans(kind, place)
    local span, shard, keys = floor(now / SPAN), sub(place, 1, 1), {}
    for back = 0, SPANS - 1 do
      keys[back + 1] = format('%s:%s:%d:%s', prefix, kind, span - back, shard)
    end
    return keys, format('%d', (span + SPANS) * SPAN - now)
  end

  -- How a reservation ended of which no more is known: its state, expiry in seconds, tokens, and
  -- the tokens that it was told.
  local function remembered_end(place, nonce)
    for _, ends in ipairs((spans('t', place))) do
      local left = call('HGET', ends, place .. nonce)
      if left then
        local state, seconds, tokens, told = match(left, '^(%l) (%-?%d+) (%d+) (%d+)$')
        return state == 'c' and 'committed' or 'released', seconds + 0, tokens + 0, told + 0
      end
    end
  end

  -- Store one that has not ended. What has expired stands as held too, beside its time, and lives
  -- on as long as it was to: a late commit may still come.
  local function save(record, key)
    local state = record.state
    record.state = 'held'
    call('SET', key, text_of(record), 'KEEPTTL')
    record.state = state
  end

  -- An ended one stays whole for as long as its request's id is remembered; then its end does.
  local function keep_end(record, key, place)
    local lives = record.expires + REMEMBERED - now
    record.request = ''
    -- Nothing more is charged, so nothing more is noted in statements.
    record.groups = string.gsub(record.groups, '(%],%d+),"[^"]*",%-?%d+%]', '%1]')
    if lives > 0 then
      call('SET', key, text_of(record), 'PX', format('%d', lives))
    else
      call('DEL', key)
    end
    local ends, lives_on = spans('t', place)
    call('HSET', ends[1], place .. record.nonce, format('%s %d %d %d', sub(record.state, 1, 1),
      floor(record.expires / 1000), record.tokens, record.told.tokens))
    call('PEXPIRE', ends[1], lives_on)
  end

  local function report_in(key, field, rows, amounts)
    local value = call('HGET', key, field)
    local count = 0
    if not value then
      count = call('HLEN', key)
      if count >= rows then
        field = match(field, '^%d+') .. '\t*\t*\t*\t*'
        value = call('HGET', key, field)
      end
    end
    local t, i, o, r, c = match(value or '0 0 0 0 0', '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
    call('HSET', key, field, format('%d %d %d %d %d', min(t + amounts.tokens, LARGEST),
      min(i + amounts.input_tokens, LARGEST), min(o + amounts.output_tokens, LARGEST),
      min(r + amounts.requests, LARGEST), min(c + amounts.cost, LARGEST)))
    if not value and count == 0 then
      call('PEXPIRE', key, format('%d', REPORTED + DAY))
    end
  end

  -- What was used in an hour, with which model, workflow, agent and plugin.
  local function report(hour, user, dimensions, amounts)
    if amounts.tokens + amounts.input_tokens + amounts.output_tokens + amounts.requests
      + amounts.cost <= 0 then
      return
    end
    local day = format('%s:u:%d', prefix, floor(hour / 24))
    local field = format('%d\t%s', hour, dimensions)
    report_in(day, field, ROWS, amounts)
    report_in(day .. ':' .. user, field, ROWS_OF_USER, amounts)
  end

  -- The head of the app: since when it is counted, when its next reservation expires, and
  -- whether some are overdue still. What is overdue is ended first, so that what was read before
  -- must be read again. `begins`: make the head where there is none.
  local function read_head(value, begins)
    if not value then
      local epoch = ''
      if begins then
        -- Microseconds of the server: two epochs never begin alike, wherever `now` is from.
        local time = call('TIME')
        epoch = format('%010d%06d', time[1], time[2])
        call('SET', prefix, epoch .. ' 0')
      end
      return epoch, 0, false
    end
    local epoch, due = sub(value, 1, 16), sub(value, 18) + 0
    if due == 0 or due > now then
      return epoch, due, false
    end
    return epoch, reap(epoch)
  end

  return {
    LASTS = LASTS,
    charge = charge, correct = correct, cost_of = cost_of, counter_of = counter_of, draw = draw,
    extend = extend, find_record = find_record, fits_at = fits_at, granted = granted,
    hold = hold, keep_end = keep_end, let_go = let_go, line_of = line_of, note = note, open = open,
    read_extension = read_extension, read_grants = read_grants, read_head = read_head,
    read_record = read_record, remembered_end = remembered_end, report = report,
    resets_at = resets_at, save = save, spans = spans, stand_still = stand_still, store = store,
    store_all = store_all, store_grants = store_grants, sums_of = sums_of, text_of = text_of,
    unuse = unuse,
  }
end
