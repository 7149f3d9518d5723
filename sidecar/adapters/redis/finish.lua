-- A commit as nearly all are, in the least that it takes: put in front of settle.lua, which does
-- the same for the others.
--
-- It is final, the first word of what was used, comes while its reservation lives, is of no
-- session, and leaves nothing for grants to pay. Returns nil, and has written nothing, where
-- anything is otherwise.
-- model: to report, '' for the one of the hold

local function finish(place, nonce, amounts, model)
  local find = string.find
  local key = prefix .. ':r:' .. place
  -- The last is never there: see `stand_still` in ledger.lua.
  local head, value = unpack(call('MGET', prefix, key, prefix .. ':'))
  if not head or not value then
    return nil
  end
  local epoch, due = sub(head, 1, 16), sub(head, 18) + 0
  local expires, made, told, extended, begin = unpacked('<dddd', value)
  begin = begin + 8 * told
  local tokens, charges, rates, behind =
    match(value, '^held (%d+) (%d) 0 0 0 0 0 (%d+ %d+)\n()', begin)
  if not behind or extended > 0 or expires <= now or (due > 0 and due <= now) or amounts.tokens < 0
    or sub(value, behind, behind + #nonce) ~= nonce .. '\n' then
    return nil
  end
  -- Where its lines begin, or the two behind them that say that something was drawn.
  local decision = find(value, '\n', behind + #nonce + 1, true) + 1
  local subject = find(value, '\n', decision, true) + 1
  local dimensions_at = find(value, '\n', subject, true) + 1
  local groups_at = find(value, '\n', dimensions_at, true) + 1
  local drawn = find(value, '\n', groups_at, true) + 1
  local behind_limits = find(value, '\n', drawn + 2, true)
  local has_session = sub(value, dimensions_at - 2, dimensions_at - 2) ~= ' '
  local is_plain = sub(value, drawn, drawn + 1) .. sub(value, behind_limits + 1, behind_limits + 1)
  if has_session or is_plain ~= '\n\n\n' or (amounts.cost < 0 and rates ~= '0 0') then
    return nil
  end
  local user = sub(value, subject, dimensions_at - 3)
  amounts.cost = max(0, amounts.cost)

  local groups = sub(value, groups_at, drawn - 2)
  local entries, keys = cjson.decode(groups), {}
  for i, entry in ipairs(entries) do
    keys[i] = prefix .. ':c:' .. entry[1]
    if entry[2] == 'p' then
      keys[i] = format('%s@%d', keys[i], entry[3])
    end
  end
  keys[#entries + 1] = prefix .. ':g:' .. user
  local values = call('MGET', unpack(keys))
  local purse = values[#entries + 1]
  for i, entry in ipairs(entries) do
    local may_draw = purse and entry[6] >= 0 and (amounts[entry[5]] or 0) > entry[8]
    if not values[i] or may_draw or sub(entry[1], -2) == ':$' then
      return nil
    end
  end

  local readings, texts = '', ''
  for i, entry in ipairs(entries) do
    local name, kind, a, b, meter, _, _, hold, limit, included = unpack(entry)
    local stands, units, bucket, lowest = values[i], amounts[meter] or 0, a, nil
    if units < 0 then
      units = min(hold, amounts.tokens)
    end
    local used, held, first, till, newest = unpacked(NUMBERS, stands)
    if kind == 's' then
      bucket, lowest = floor(made / a), floor((now - b) / a)
      if first < lowest and #stands > SLOTS then
        stands = leave_behind(stands, lowest)
        used, held, first = unpacked(NUMBERS, stands)
      end
    end
    local before, slots = used, sub(stands, SLOTS + 1)
    -- Use that has left a sliding window changes nothing.
    if units > 0 and (not lowest or bucket >= lowest) then
      local counted = min(units, LARGEST - used)
      used = used + counted
      if lowest then
        local latest = min(bucket, max(floor(now / a), newest))
        slots, first, newest = put_use(slots, first, newest, latest, counted)
      end
    end
    if hold > 0 or used ~= before then
      held = max(0, held - hold)
      write_counter(keys[i], kind, a, b, till, expires - now, used, held, first, newest, slots)
    end
    readings = readings .. pack('<ddd', used, held, reset_of(kind, a, b, first, slots))
    texts = texts .. format('%d 0 %d 0;', bucket, units)
    if limit then
      if used ~= before
        and not add_to_statement(name, a, b, used - before, 0, made, limit, included) then
        write_statement({
          name = name, a = a, b = b, used = used, was = before, paid = 0, seen = made,
          limit = limit, included = included, is_new = false,
        })
      end
      -- Nothing more is charged, so nothing more is noted in statements.
      local from, to = find(groups, format(',"%s",%d]', limit, included), 1, true)
      groups = from and sub(groups, 1, from - 1) .. sub(groups, to) or groups
    end
  end

  local dimensions = sub(value, dimensions_at, groups_at - 2)
  if model ~= '' then
    dimensions = model .. match(dimensions, '^[^\t]*(.*)$')
  end
  local t, received = amounts.tokens, max(0, amounts.input_tokens)
  local sent, cost = max(0, amounts.output_tokens), amounts.cost
  report(floor(now / 3600000), user, dimensions, t, received, sent, 1, cost)

  call('ZREM', prefix .. ':x', place)
  call('SET', key, sub(value, 1, begin - 1)
    .. format('committed %s %s 1 %d %d %d %d %s\n', tokens, charges, t, received, sent, cost, rates)
    .. sub(value, behind, groups_at - 1) .. groups .. '\n' .. texts .. '\n\n'
    .. sub(value, drawn + 2, behind_limits + 1), 'PX', format('%d', expires + REMEMBERED - now))
  remember_ends(place, place .. nonce, format('c %d %s %d', floor(expires / 1000), tokens, t))
  return {
    format('ok\n%s\ncommitted\n%d\n%s\n', epoch, expires, tokens)
      .. sub(value, drawn + 2, behind_limits) .. '\n' .. (purse or ''), readings,
  }
end

if ARGV[4] == 'finish' then
  local reply = finish(ARGV[2], ARGV[3], {
    tokens = tonumber(ARGV[5]), input_tokens = tonumber(ARGV[6]),
    output_tokens = tonumber(ARGV[7]), cost = tonumber(ARGV[8]), requests = 1, concurrency = 0,
  }, ARGV[9])
  if reply then
    return reply
  end
end
