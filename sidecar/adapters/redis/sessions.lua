-- What sessions were counted as. A function, for those calls that have to do with any.
--
-- A session stands under <prefix>:z:<name>, in lines of five numbers and a text, by blanks:
--   1  till tokens input output cost: until when it is known, and what its deltas came to, which
--      are events and commits
--   2  and behind: rows of the reports under which summaries told more than that, the latest
--      last, and what no delta has filled of each yet: hour tokens input output cost dimensions;
--      hour 0, first: of rows that are not told apart any more
-- All lines together are what it was counted as, meter by meter: its deltas or its greatest
-- summary, whatever is more.

local function sessions(book)
  local format, gmatch, max, min = string.format, string.gmatch, math.max, math.min
  local KEPT = 8 * 86400000
  local ROWS = 16
  local METERS = { 'tokens', 'input_tokens', 'output_tokens', 'cost' }
  local opened = {}

  local function open(name)
    local session = opened[name]
    if session then
      return session
    end
    local key, lines = prefix .. ':z:' .. name, {}
    for hour, t, i, o, c, dimensions in
      gmatch(call('GET', key) or '', '(%d+) (%d+) (%d+) (%d+) (%d+) ([^\n]*)\n') do
      table.insert(lines, {
        hour = hour + 0, tokens = t + 0, input_tokens = i + 0, output_tokens = o + 0, cost = c + 0,
        dimensions = dimensions,
      })
    end
    local told = table.remove(lines, 1)
    if not told or told.hour <= now then
      told = { tokens = 0, input_tokens = 0, output_tokens = 0, cost = 0, dimensions = '' }
      lines = {}
    end
    session = { key = key, told = told, rows = lines }
    opened[name] = session
    return session
  end

  -- What summaries told beyond the deltas.
  local function unfilled(session)
    local units = { tokens = 0, input_tokens = 0, output_tokens = 0, cost = 0 }
    for _, row in ipairs(session.rows) do
      for _, meter in ipairs(METERS) do
        units[meter] = units[meter] + row[meter]
      end
    end
    return units
  end

  -- Whether use of no known model, agent or plugin counts in a counter.
  local function takes_summaries(name)
    for _, part in ipairs({ ':model=', ':agent=', ':plugin=', ':#' }) do
      if string.find(name, part, 1, true) then
        return false
      end
    end
    return true
  end

  -- Units that are filled are used already: nothing is held for them any more, and nothing due.
  local function spare(record, due, last, filled)
    for name, units in pairs(due) do
      local spared = takes_summaries(name) and min(units, filled[last[name].meter] or 0) or 0
      due[name] = units - spared
      last[name].paid = min(last[name].paid + spared, LARGEST)
      for _, entry in ipairs(record.entries) do
        local held = entry.name == name and min(spared, entry.held) or 0
        if held > 0 and record.state == 'held' then
          book.hold(book.counter_of(entry), -held)
        elseif held > 0 then
          -- Expiry has charged it.
          book.unuse(book.counter_of(entry), entry.bucket, held)
        end
        entry.held, spared = entry.held - held, spared - held
      end
    end
  end

  -- Take out of a row of the reports what is in others now.
  local function take_out(row, user, units)
    local day = format('%s:u:%d', prefix, math.floor(row.hour / 24))
    for _, key in ipairs({ day, day .. ':' .. user }) do
      local field = format('%d\t%s', row.hour, row.dimensions)
      local value = call('HGET', key, field)
      if not value then
        field = format('%d\t*\t*\t*\t*', row.hour)
        value = call('HGET', key, field)
      end
      if value then
        local t, i, o, r, c = string.match(value, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
        call('HSET', key, field, format('%d %d %d %d %d', max(0, t - units.tokens),
          max(0, i - units.input_tokens), max(0, o - units.output_tokens), r,
          max(0, c - units.cost)))
      end
    end
  end

  -- Count a delta in its session, if it is of one, before it is charged: what summaries counted
  -- of it is not due any more. Returns what of it is to be reported.
  -- news: what comes to the reports; amounts: as they were told, -1 for what was not; record: its
  -- entries and its state; due and last: as they are to be charged
  local function fill(name, user, news, amounts, record, due, last)
    if name == '' then
      return news
    end
    local session, reported, filled, is_filled = open(name), {}, {}, false
    local gaps = unfilled(session)
    for meter, units in pairs(news) do
      reported[meter] = units
    end
    for _, meter in ipairs(METERS) do
      local units = news[meter]
      if amounts[meter] < 0 then
        for counter, charged in pairs(due) do
          units = last[counter].meter == meter and max(units, charged) or units
        end
      end
      filled[meter] = min(units, gaps[meter])
      is_filled = is_filled or filled[meter] > 0
      session.told[meter] = min(session.told[meter] + units, LARGEST)
      session.changed = session.changed or units > 0
    end
    if not is_filled then
      return reported
    end
    spare(record, due, last, filled)
    for i = #session.rows, 1, -1 do
      local row, back, rest = session.rows[i], {}, 0
      for _, meter in ipairs(METERS) do
        local units = min(row[meter], filled[meter])
        row[meter], filled[meter] = row[meter] - units, filled[meter] - units
        rest = rest + row[meter]
        -- What was not told is in no report.
        back[meter] = amounts[meter] < 0 and 0 or units
      end
      if row.hour > 0 then
        take_out(row, user, back)
      else
        for _, meter in ipairs(METERS) do
          reported[meter] = reported[meter] - back[meter]
        end
      end
      if rest == 0 then
        table.remove(session.rows, i)
      end
    end
    return reported
  end

  -- Count a summary, in its row of the reports. Returns what it adds to what was counted.
  -- rates: what that costs: input output
  local function summarize(name, hour, dimensions, amounts, rates)
    local session = open(name)
    local told, gaps, rows = session.told, unfilled(session), session.rows
    local added = { requests = 0, concurrency = 0 }
    for _, meter in ipairs(METERS) do
      added[meter] = max(0, amounts[meter] - told[meter] - gaps[meter])
    end
    local cost = book.cost_of({ rate_in = rates[1], rate_out = rates[2] }, added.tokens,
      added.input_tokens, added.output_tokens)
    added.cost = max(0, min(cost, LARGEST - told.cost - gaps.cost))
    if added.tokens + added.input_tokens + added.output_tokens == 0 then
      return added
    end
    local row = rows[#rows]
    if not row or row.hour ~= hour or row.dimensions ~= dimensions then
      row = {
        hour = hour, dimensions = dimensions, tokens = 0, input_tokens = 0, output_tokens = 0,
        cost = 0,
      }
      table.insert(rows, row)
    end
    local oldest = #rows > ROWS and table.remove(rows, 1)
    if oldest then
      rows[1].hour, rows[1].dimensions = 0, ''
    end
    for _, meter in ipairs(METERS) do
      row[meter] = row[meter] + added[meter]
      rows[1][meter] = rows[1][meter] + (oldest and oldest[meter] or 0)
    end
    session.changed = true
    return added
  end

  local function store_all()
    for name, session in pairs(opened) do
      if session.changed then
        local lines = {}
        session.told.hour = now + KEPT
        for i, line in ipairs({ session.told, unpack(session.rows) }) do
          lines[i] = format('%d %d %d %d %d %s\n', line.hour, line.tokens, line.input_tokens,
            line.output_tokens, line.cost, line.dimensions)
        end
        call('SET', session.key, table.concat(lines), 'PX', format('%d', KEPT))
      end
      opened[name] = nil
    end
  end

  return { fill = fill, store_all = store_all, summarize = summarize }
end
