-- Commit, release or withdraw a reservation, or find the request that it was made for.
--
-- ARGV[2]  place, ARGV[3] nonce: the token of the reservation
-- ARGV[4]  commit: charge the total so far in the windows of the hold, after expiry too
--          finish: commit, and give the rest back
--          release: give all back; withdraw: release, and forget that it was
--          find: nothing but the request
-- ARGV[5...8] the total use so far: tokens input_tokens output_tokens cost; -1 for what is not
--          told: in the end it is what was held, and a cost follows from the rates of the hold
-- ARGV[9]  model to report, '' for the one of the hold
-- Returns  lines: 'ok', epoch, state, expires_at, tokens granted, limits told, the request, then
--          the user's grants; and, as doubles, used held resets_at of each counter in the order of
--          the hold. Or lines alone: the same with limits '' where only the end is remembered;
--          'unknown', epoch; 'ended', epoch, state

local place, nonce, action = ARGV[2], ARGV[3], ARGV[4]
local amounts = {
  tokens = tonumber(ARGV[5]), input_tokens = tonumber(ARGV[6]),
  output_tokens = tonumber(ARGV[7]), cost = tonumber(ARGV[8]), requests = 1, concurrency = 0,
}
local book = ledger()
local known = sessions(book)
book.stand_still()
local epoch = book.read_head(call('GET', prefix), false)
local record, key, at = book.find_record(place, nonce)

local function ended(state)
  return 'ended\n' .. epoch .. '\n' .. state
end

if not record then
  local state, seconds, tokens, told = book.remembered_end(place, nonce)
  if not state then
    return 'unknown\n' .. epoch
  end
  local is_same = state == 'released' and action == 'release'
  if state == 'committed' and (action == 'commit' or action == 'finish') then
    is_same = amounts.tokens <= told
  end
  if not is_same then
    return ended(state)
  end
  return format('ok\n%s\n%s\n%d\n%d\n\n\n', epoch, state, seconds * 1000, tokens)
end

-- Whether a commit that came before knew less. Not of the cost: it follows from the tokens, and
-- prices may have changed since.
local function is_more()
  local told = book.sums_of(record)
  for _, entry in ipairs(record.entries) do
    local units, before = amounts[entry.meter], told[entry.name]
    if entry.meter == 'cost' then
      units, before = amounts.tokens, record.told.tokens
    end
    if units > before then
      return true
    end
  end
  return false
end

-- Charge this commit. What it adds to what was told before goes into the reports.
local function charge()
  local told, news, reported = record.told, { requests = 1 - record.requests }, nil
  for name, before in pairs(told) do
    news[name] = max(0, amounts[name] - before)
    told[name] = before + news[name]
  end
  record.requests = 1
  book.draw(record, amounts, false, action == 'finish', function(due, last)
    reported = known.fill(record.session, record.user, news, amounts, record, due, last)
  end)
  local dimensions = record.dimensions
  if ARGV[9] ~= '' then
    dimensions = ARGV[9] .. match(dimensions, '^[^\t]*(.*)$')
  end
  report(floor(now / 3600000), record.user, dimensions, reported.tokens, reported.input_tokens,
    reported.output_tokens, reported.requests, reported.cost)
end

local state = record.state
if action == 'find' then
  if state ~= 'held' then
    return ended(state)
  end
elseif action == 'release' or action == 'withdraw' then
  if state == 'committed' then
    return ended(state)
  elseif state == 'held' then
    book.let_go(record)
    record.state = 'released'
    call('ZREM', prefix .. ':x', at)
  end
  if action == 'withdraw' then
    if state == 'expired' then
      book.correct(record)
    end
    call('DEL', key)
    for _, ends in ipairs(book.spans('t', place)) do
      call('HDEL', ends, place .. nonce)
    end
  elseif state == 'held' then
    book.keep_end(record, key, place)
  end
elseif state == 'released' then
  return ended(state)
else
  if amounts.cost < 0 then
    amounts.cost =
      book.cost_of(record, amounts.tokens, amounts.input_tokens, amounts.output_tokens)
  end
  if state == 'committed' then
    if is_more() then
      return ended(state)
    end
  else
    if state == 'expired' then
      book.correct(record)
    end
    charge()
    if action == 'finish' then
      book.let_go(record)
      record.state = 'committed'
      call('ZREM', prefix .. ':x', at)
      book.keep_end(record, key, place)
    else
      book.save(record, key)
    end
  end
end

local readings, seen = '', {}
for _, entry in ipairs(record.entries) do
  if not seen[entry.name] then
    seen[entry.name] = true
    local counter = book.counter_of(entry)
    readings = readings .. pack('<ddd', counter.used, counter.held, book.resets_at(counter))
  end
end
book.store_all(max(record.expires - now, 0))
known.store_all()
local lines = format('ok\n%s\n%s\n%d\n%d\n', epoch, record.state, record.expires, record.tokens)
return { lines .. record.limits .. '\n' .. record.request .. '\n'
  .. (call('GET', prefix .. ':g:' .. record.user) or ''), readings }
