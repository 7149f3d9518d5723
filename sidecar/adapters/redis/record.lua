-- Count reported use, each event once.
--
-- ARGV[2]  JSON of the events: [[digest of its id, place, nonce of the hold that it draws down
--          ('' for none), hour, user, dimensions, tokens, input_tokens, output_tokens, requests,
--          cost, counters, session ('' for none), rates of a summary, [] for a delta], ...];
--          counters as in line 7 of a record, with the bucket before the limit
-- ARGV[3]  what is logged of them: event_log.lua says how
-- Returns  lines: 'ok', epoch, accepted, duplicates, tokens of those accepted, of a summary those
--          that it adds; or 'full' and epoch

local events = cjson.decode(ARGV[2])
local book = ledger()
local known = sessions(book)
book.stand_still()
local epoch = book.read_head(call('GET', prefix), true)
local log = event_log()
if not log.has_room() then
  return format('full\n%s', epoch)
end

-- Which of the ids were seen before, set by set: one question for all that may be in it.
local shards, is_known = {}, {}
for _, event in ipairs(events) do
  local id = event[1]
  if is_known[id] == nil then
    is_known[id] = false
    local sets = book.spans('e', id)
    local shard = shards[sets[1]]
    if not shard then
      shard = { sets = sets, ids = {} }
      shards[sets[1]] = shard
    end
    table.insert(shard.ids, id)
  end
end
for current, shard in pairs(shards) do
  for _, set in ipairs(shard.sets) do
    for i, is_there in ipairs(call('SMISMEMBER', set, unpack(shard.ids))) do
      local id = shard.ids[i]
      is_known[id] = is_known[id] or is_there == 1
    end
  end
  local news = {}
  for _, id in ipairs(shard.ids) do
    if not is_known[id] then
      table.insert(news, id)
    end
  end
  if #news > 0 then
    call('SADD', current, unpack(news))
    keep_span(current, call('SCARD', current), #news)
  end
end

local accepted, duplicates, tokens = 0, 0, 0

local function count(event, place, nonce)
  local amounts = {
    tokens = event[7], input_tokens = event[8], output_tokens = event[9], requests = event[10],
    cost = event[11], concurrency = 0,
  }
  local record, key
  local session, rates, reported = event[13], event[14], amounts
  if place ~= '' then
    record, key = book.find_record(place, nonce)
    if not record and book.remembered_end(place, nonce) == 'committed' then
      return
    end
  end
  if record and record.state == 'committed' then
    return
  elseif record and record.state ~= 'released' then
    if record.state == 'expired' then
      book.correct(record)
    end
    -- The reservation is the request: it is counted once, however many events it has.
    amounts.requests = 1 - record.requests
    record.requests = 1
    book.draw(record, amounts, true, false, function(due, last)
      local name, user = record.session, record.user
      if session ~= '' then
        name, user = session, event[5]
      end
      reported = known.fill(name, user, amounts, amounts, record, due, last)
    end)
    for name, before in pairs(record.told) do
      record.told[name] = min(before + amounts[name], LARGEST)
    end
    book.store_all(max(record.expires - now, 0))
    book.save(record, key)
  else
    local entries, due, last = {}, {}, {}
    if #rates > 0 then
      reported = known.summarize(session, event[4], event[6], amounts, rates)
    end
    for i, given in ipairs(event[12]) do
      entries[i] = {
        name = given[1], kind = given[2], a = given[3], b = given[4], meter = given[5],
        bound = given[6], scopes = given[7], bucket = given[9], held = 0, drawn = 0, paid = 0,
        limit = given[10], included = given[11], seen = now,
      }
      due[given[1]] = #rates > 0 and reported[given[5]] or given[8]
      last[given[1]] = entries[i]
    end
    if #rates == 0 then
      reported = known.fill(session, event[5], amounts, amounts, { entries = entries }, due, last)
    end
    book.charge(entries, {}, due, last, event[5])
  end
  report(event[4], event[5], event[6], reported.tokens, reported.input_tokens,
    reported.output_tokens, reported.requests, reported.cost)
  return #rates > 0 and reported.tokens
end

for i, event in ipairs(events) do
  if is_known[event[1]] then
    duplicates = duplicates + 1
  else
    is_known[event[1]] = true
    accepted = accepted + 1
    tokens = tokens + (count(event, event[2], event[3]) or event[7])
    log.append(i)
  end
end
log.finish()
book.store_all()
known.store_all()
return format('ok\n%s\n%d\n%d\n%d', epoch, accepted, duplicates, min(tokens, LARGEST))
