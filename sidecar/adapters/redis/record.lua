-- Count reported use, each event once.
--
-- ARGV[2]  n, then n events: digest of its id, id of the hold that it draws down ('' for
--          none), tokens input_tokens output_tokens requests cost, c, then c counters: name
--          kind a b bucket amount
-- Returns  {'ok', accepted, duplicates}

local REMEMBERED = 8 * DAY   -- event ids; older events are not accepted

local accepted, duplicates = 0, 0
for _ = 1, number() do
  local event, hold_id = prefix .. ':e:' .. take(), take()
  local amounts = {
    tokens = number(), input_tokens = number(), output_tokens = number(),
    requests = number(), cost = number(), concurrency = 0,
  }
  local counters = {}
  for i = 1, number() do
    counters[i] = { take(), take(), number(), number(), number(), number() }
  end
  if not redis.call('SET', event, '', 'NX', 'PX', text(REMEMBERED)) then
    duplicates = duplicates + 1
  else
    accepted = accepted + 1
    local fields = { false, false }
    local key = prefix .. ':r:' .. hold_id
    if hold_id ~= '' then
      fields = redis.call('HMGET', key, 'st', 'en')
    end
    if fields[1] == 'held' or fields[1] == 'expired' then
      -- The reservation is the request: it is counted once, however many events it has.
      local entries = entries_of(fields[2])
      local drawn = 0
      for _, entry in ipairs(entries) do
        if entry.meter == 'requests' then
          drawn = drawn + entry.drawn
        end
      end
      amounts.requests = drawn > 0 and 0 or 1
      draw(entries, amounts, true)
      redis.call('HSET', key, 'en', lines_of(entries))
    elseif fields[1] ~= 'committed' then
      for _, given in ipairs(counters) do
        local counter = load(given[1], given[2], given[3], given[4])
        use(counter, given[5], given[6])
        if counter.kind == 'p' or next(counter.added) then
          store(counter, 0)
        end
      end
    end
  end
end
return { 'ok', accepted, duplicates }
