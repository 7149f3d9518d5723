-- What happens to reservations, and what is charged for them.
--
-- The sorted set <prefix>:x has the places of those that hold, by expiry. A live one has no
-- TTL: whoever calls next after its expiry gives back what it holds, and could not if it were
-- gone.

local function ledger()
  local floor, max, min = math.floor, math.max, math.min
  local format, match = string.format, string.match
  local sub = string.sub
  local call = redis.call
  local prefix = KEYS[1]
  local DAY = 86400000
  local KEPT = 7 * DAY             -- ended reservations
  local LASTS = format('%d', KEPT + DAY)
  local REAP = 128                 -- overdue reservations that one call ends
  local expiries = prefix .. ':x'
  local counters, grants = counting(), purses()
  local records = records(grants.pay)
  local counter_of, hold = counters.counter_of, counters.hold
  local use, unuse = counters.use, counters.unuse

  -- To be called before a script that finds out itself which keys it needs writes any. On a
  -- Cluster, where the slot is being moved, a key that is not there ends a script, and what it
  -- wrote before would stay: half a commit. This one is never there, so there the script ends
  -- before it began.
  local function stand_still()
    call('EXISTS', prefix .. ':')
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
        grants.settle(record.user, draw.id, draw.held, 0)
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
        grants.settle(record.user, draw.id, draw.held, draw.held)
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
        grants.settle(record.user, draw.id, 0, -draw.held)
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
        grants.settle(user, draw.id, units, units)
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
      local purse = grants.purse_of(user)
      grants.pay(entries, purse.grants, over, function(grant, units, names, indexes)
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
    local told, held = records.sums_of(record)
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
        local record = records.read(value)
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

  -- Write what was changed; hold_ms: how long something held may still live.
  local function store_all(hold_ms)
    counters.store_changed(hold_ms)
    grants.store_changed()
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
    local record = value and records.read(value)
    if not record or record.nonce ~= nonce then
      place = place .. nonce
      key = prefix .. ':r:' .. place
      value = nonce ~= '' and call('GET', key)
      record = value and records.read(value)
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

  -- Where what is remembered may lie, the present span first.
  local function spans(kind, place)
    local keys = {}
    for back = 0, 4 do
      keys[back + 1] = span_of(kind, place, back, now)
    end
    return keys
  end

  -- How a reservation ended, as it is remembered.
  local function end_of(state, expires, tokens, told)
    return format('%s %d %d %d', sub(state, 1, 1), floor(expires / 1000), tokens, told)
  end

  -- How a reservation ended of which no more is known: its state, expiry in seconds, tokens, and
  -- the tokens that it was told.
  local function remembered_end(place, nonce)
    for _, span in ipairs(spans('t', place)) do
      local left = call('HGET', span, place .. nonce)
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
    call('SET', key, records.text_of(record), 'KEEPTTL')
    record.state = state
  end

  -- An ended one stays whole for as long as its request's id is remembered; then its end does.
  local function keep_end(record, key, place)
    local lives = record.expires + REMEMBERED - now
    record.request = ''
    -- Nothing more is charged, so nothing more is noted in statements.
    record.groups = string.gsub(record.groups, '(%],%d+),"[^"]*",%-?%d+%]', '%1]')
    if lives > 0 then
      call('SET', key, records.text_of(record), 'PX', format('%d', lives))
    else
      call('DEL', key)
    end
    remember_ends(place, place .. record.nonce,
      end_of(record.state, record.expires, record.tokens, record.told.tokens))
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
    charge = charge, correct = correct, cost_of = cost_of, draw = draw, find_record = find_record,
    end_of = end_of, keep_end = keep_end, let_go = let_go, read_head = read_head,
    remembered_end = remembered_end, save = save, spans = spans, stand_still = stand_still,
    store_all = store_all,
    counter_of = counter_of, fits_at = fits_at, hold = hold, open = open,
    resets_at = counters.resets_at, store = counters.store, unuse = unuse,
    granted = grants.granted, line_of = grants.line_of, read_grants = grants.read_grants,
    store_grants = grants.store,
    extend = records.extend, note = records.note, read_extension = records.read_extension,
    read_record = records.read, sums_of = records.sums_of, text_of = records.text_of,
  }
end
