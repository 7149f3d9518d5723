-- Settle reservations that were answered in memory out of one that was made in advance.
--
-- That one, the parent, is a reservation like any other. A child's token is the parent's with a
-- name behind it; it has no record of its own until it is promoted. What is left of an ended
-- one stands where that of any reservation does, so whoever asks for it later is told. Its name is
-- a number and how many milliseconds after its parent it was handed out, both in base 16 and with a
-- - between; in sliding windows it counts from then on. Behind a second ~ its token ends with the
-- name of its session, if it is of one.
--
-- KEYS     apps, each by what its keys begin with; in a Cluster there is one alone
-- ARGV[2]  JSON, for each app: [[place, nonce of the parent, kept, is_last, shows, operations], ...]
--          kept: units by counter that its children may still take, what it holds beyond them
--          is given back; [] leaves it alone. is_last: 1 if no child is left, so that it is
--          over. shows: 1 to be told its limits
--          operations: [action, name of the child, ...], which is its nonce too
--            commit, tokens, input_tokens, output_tokens, cost (-1 for what is not told), input
--              and output if those are not told (-1: as the parent was asked), dimensions, model
--              ('' for the parent's), tokens granted, expires (0 for what is not known)
--            release, expires, tokens granted (0 for what is not known)
--            promote, expires, tokens granted, input rate, output rate, fingerprint, decision,
--              dimensions, request, [units by counter]
-- Returns  lines: 'ok', the epoch of each app, then for each parent: used held resets_at of each counter by
--          blanks, '' where there is no such parent; granted of each limit by blanks, '' if no
--          grant is there; its limits, '' if they are not to be shown; then a line for each
--          operation: what became of it, expires at, tokens granted. That is committed or
--          again (it came before), released, expired, promoted, unknown, or why not: ended-
--          with its state behind.

local book, known, epoch, due     -- of the app whose turn it is
local epochs, answers = { 'ok' }, {}

local function tell(...)
  answers[#answers + 1] = format(...)
end

-- Give back what a parent holds beyond what is kept. No grant ever pays for what it holds.
local function give_back(parent, kept)
  local aside = {}
  for i, entry in ipairs(parent.entries) do
    -- What it was extended by is none of theirs.
    aside[i] = min(entry.held, kept[i] or LARGEST)
    entry.held = entry.held - aside[i]
  end
  if parent.state == 'held' then
    book.let_go(parent)
  else
    book.correct(parent)
  end
  for i, entry in ipairs(parent.entries) do
    entry.held = aside[i]
  end
end

-- What a commit does not tell, in the proportion in which the parent was asked for.
local function share_of(parent, meter, tokens)
  local asked = parent.request ~= '' and cjson.decode(parent.request).estimate
  if not asked or asked.tokens == 0 then
    return tokens
  end
  return math.ceil(tokens / asked.tokens * asked[meter])
end

local function session_of(name)
  return match(name, '~.*~(.*)$') or ''
end

-- The bucket of a parent's counter in which a child counts: never an earlier one than the parent's.
local function bucket_of(parent, entry, name)
  if entry.kind == 'p' then
    return entry.bucket
  end
  local after = tonumber(match(name, '~%x+%-(%x+)') or '0', 16)
  return max(entry.bucket, floor((parent.made + after) / entry.a))
end

-- Draw what a child has used from what its parent holds. Returns what of it is to be reported.
-- news: as far as it was told; told: with -1 for what was not
local function draw(parent, name, amounts, news, told)
  local due, last = {}, {}
  if parent.state == 'expired' and not parent.charges then
    book.correct(parent)
  end
  for _, entry in ipairs(parent.entries) do
    due[entry.name], last[entry.name] = amounts[entry.meter] or 0, entry
  end
  local reported = known.fill(session_of(name), parent.user, news, told, parent, due, last)
  for _, entry in ipairs(parent.entries) do
    if parent.state == 'expired' and entry.held > 0 then
      -- Expiry has charged what was held for all: this is part of it.
      local charged = min(due[entry.name], entry.held)
      entry.held, entry.drawn = entry.held - charged, min(entry.drawn + charged, LARGEST)
      due[entry.name] = due[entry.name] - charged
    end
  end
  local buckets = {}
  for i, entry in ipairs(parent.entries) do
    buckets[i], entry.bucket = entry.bucket, bucket_of(parent, entry, name)
  end
  book.charge(parent.entries, parent.draws, due, last, parent.user)
  for i, entry in ipairs(parent.entries) do
    entry.bucket = buckets[i]
  end
  return reported
end

local function commit(parent, operation, reports)
  local _, name, tokens, received, sent, cost, received_untold, sent_untold, dimensions, model =
    unpack(operation)
  local amounts = { tokens = tokens, requests = 1, concurrency = 0 }
  for meter, units in pairs({
    input_tokens = { received, received_untold }, output_tokens = { sent, sent_untold },
  }) do
    amounts[meter] = units[1]
    if units[1] < 0 and parent.state == 'expired' then
      -- Nothing is held any more that it could be taken for.
      amounts[meter] = 0
    elseif units[1] < 0 then
      local untold = units[2] < 0 and share_of(parent, meter, tokens) or units[2]
      amounts[meter] = min(untold, tokens)
    end
  end
  amounts.cost = cost < 0 and book.cost_of(parent, tokens, received, sent) or cost
  local reported = draw(parent, name, amounts, {
    tokens = tokens, input_tokens = max(0, received), output_tokens = max(0, sent), requests = 1,
    cost = amounts.cost,
  }, { tokens = tokens, input_tokens = received, output_tokens = sent, cost = amounts.cost })
  if dimensions == '' then
    dimensions = parent.dimensions
  end
  if model ~= '' then
    dimensions = model .. match(dimensions, '^[^\t]*(.*)$')
  end
  local sums = reports[dimensions] or {
    tokens = 0, input_tokens = 0, output_tokens = 0, requests = 0, cost = 0,
  }
  reports[dimensions] = sums
  for meter, units in pairs(reported) do
    sums[meter] = min(sums[meter] + units, LARGEST)
  end
end

-- Give a child a record of its own, with its part of what the parent holds.
local function promote(parent, place, operation)
  local _, name, expires, tokens, rate_in, rate_out, fingerprint, decision, dimensions, request,
    units = unpack(operation)
  local key, entries = prefix .. ':r:' .. place .. name, {}
  for i, entry in ipairs(parent.entries) do
    local held = min(units[i] or 0, entry.held)
    if parent.state == 'expired' and not parent.charges then
      held = 0
    end
    entries[i] = {
      bucket = bucket_of(parent, entry, name), held = held, drawn = 0, paid = 0,
    }
    entry.held = entry.held - held
  end
  local text = book.text_of({
    state = 'held', expires = expires, made = parent.made, tokens = tokens,
    charges = parent.charges, requests = 0,
    told = { tokens = 0, input_tokens = 0, output_tokens = 0, cost = 0 },
    rate_in = rate_in, rate_out = rate_out, nonce = name, fingerprint = fingerprint,
    decision = decision, user = parent.user, session = session_of(name),
    dimensions = dimensions, groups = parent.groups, readings = '', told_last = '',
    limits = parent.limits, extension = '', request = request, entries = entries, draws = {},
  })
  if parent.state ~= 'held' then
    call('SET', key, text, 'PX', book.LASTS)
    return
  end
  call('SET', key, text)
  call('ZADD', prefix .. ':x', format('%d', expires), place .. name)
  if due == 0 or expires < due then
    due = expires
    call('SET', prefix, format('%s %d', epoch, due))
  end
end

-- What counters and limits say after it.
local function show(parent, shows)
  if not parent then
    tell('\n\n')
    return
  end
  local readings, granted = {}, {}
  for i, entry in ipairs(parent.entries) do
    local counter = book.counter_of(entry)
    readings[i] = format('%d %d %d', counter.used, counter.held, book.resets_at(counter))
  end
  local purse = call('GET', prefix .. ':g:' .. parent.user)
  if purse then
    local grants = book.read_grants(purse)
    for i, limit in ipairs(cjson.decode(parent.limits)) do
      granted[i] = format('%d', book.granted(grants, limit[#limit]))
    end
  end
  tell('%s\n%s\n%s', table.concat(readings, ' '), table.concat(granted, ' '),
    shows == 1 and parent.limits or '')
end

-- How children ended, as it is remembered, and which have records of their own.
local function look_up(spans, tokens)
  local ends, is_promoted, keys = {}, {}, {}
  if #tokens == 0 then
    return ends, is_promoted
  end
  for _, span in ipairs(spans) do
    for i, left in ipairs(call('HMGET', span, unpack(tokens))) do
      ends[tokens[i]] = ends[tokens[i]] or left or nil
    end
  end
  for i, token in ipairs(tokens) do
    keys[i] = prefix .. ':r:' .. token
  end
  for i, own in ipairs(call('MGET', unpack(keys))) do
    is_promoted[tokens[i]] = own and true
  end
  return ends, is_promoted
end

-- What is said of a child that has ended already.
local function repeated(left, action, tokens)
  local state, seconds, granted, told = match(left, '^(%l) (%-?%d+) (%d+) (%d+)$')
  if state == 'c' and action == 'commit' and tokens <= told + 0 then
    return format('again %d %d', seconds * 1000, granted)
  elseif state == 'r' and action == 'release' then
    return format('released %d %d', seconds * 1000, granted)
  end
  return (state == 'c' and 'ended-committed' or 'ended-released') .. ' 0 0'
end

local function settle(place, nonce, kept, is_last, shows, operations)
  local parent, key, at = book.find_record(place, nonce)
  local is_gone = not parent or parent.state == 'released' or parent.state == 'committed'
  local tokens, outcomes, fresh, reports = {}, {}, {}, {}
  for i, operation in ipairs(operations) do
    tokens[i] = place .. operation[2]
  end
  local ends, is_promoted = look_up(book.spans('t', place), tokens)

  local function finish(token, state, expires, granted, told)
    expires = expires > 0 and expires or parent.expires
    ends[token] = book.end_of(state, expires, granted, told)
    fresh[#fresh + 1], fresh[#fresh + 2] = token, ends[token]
    return format('%s %d %d', state, expires, granted)
  end

  for i, operation in ipairs(operations) do
    local action, token, outcome = operation[1], tokens[i], nil
    if ends[token] then
      outcome = repeated(ends[token], action, operation[3])
    elseif is_promoted[token] then
      outcome = 'promoted 0 0'
    elseif is_gone then
      outcome = 'unknown 0 0'
    elseif action == 'promote' then
      promote(parent, place, operation)
      is_promoted[token] = true
      outcome = 'promoted 0 0'
    elseif action == 'commit' then
      commit(parent, operation, reports)
      outcome = finish(token, 'committed', operation[12], operation[11], operation[3])
    elseif parent.state == 'expired' or (operation[3] > 0 and operation[3] <= now) then
      outcome = format('expired %d %d', operation[3] > 0 and operation[3] or parent.expires,
        operation[4])
    else
      outcome = finish(token, 'released', operation[3], operation[4], 0)
    end
    outcomes[i] = outcome
  end
  if #fresh > 0 then
    remember_ends(place, unpack(fresh))
  end
  for dimensions, sums in pairs(reports) do
    report(floor(now / 3600000), parent.user, dimensions, sums.tokens, sums.input_tokens,
      sums.output_tokens, sums.requests, sums.cost)
  end
  if parent and #kept > 0 then
    give_back(parent, kept)
  end
  show(parent, shows)
  for _, outcome in ipairs(outcomes) do
    tell('%s', outcome)
  end
  if is_gone then
    return
  end
  book.store_all(max(parent.expires - now, 0))
  if is_last == 1 then
    -- As long as of any reservation that ended, a call that comes again is shown its limits.
    parent.state, parent.request = 'released', ''
    call('ZREM', prefix .. ':x', at)
    call('SET', key, book.text_of(parent), 'PX',
      format('%d', max(parent.expires, now) + REMEMBERED - now))
  else
    book.save(parent, key)
  end
end

local apps, operations = { unpack(KEYS) }, cjson.decode(ARGV[2])
for i, app in ipairs(apps) do
  -- All that is told of keys begins with the app's own.
  KEYS[1], prefix = app, app
  book = ledger()
  known = sessions(book)
  book.stand_still()
  epoch, due = book.read_head(call('GET', prefix), false)
  epochs[#epochs + 1] = epoch
  for _, given in ipairs(operations[i]) do
    settle(unpack(given))
  end
  known.store_all()
end
return table.concat(epochs, '\n') .. '\n' .. table.concat(answers, '\n')
