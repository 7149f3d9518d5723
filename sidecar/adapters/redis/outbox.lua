-- What of an app's log of events waits for the control plane; event_log.lua says where it stands.
--
-- KEYS[1]  what all keys of the app begin with
-- ARGV[1]  now, in milliseconds since 1970; '' to read the server's clock
-- ARGV[2]  look, take, settle, retry or drop; then
--          look
--          take    holder, for how long in milliseconds, how many at most
--          settle  holder, for how long in milliseconds, '' to let go; how long events are kept,
--                  in milliseconds; JSON of [[places that are done], [[place, status], ...],
--                  milliseconds until the next try or -1, fault]
--          retry   place
--          drop    place, how long events are kept
-- Returns  look: now, last, waiting, set aside, tries, due, fault, first place, its millisecond
--          take: 'empty' with the millisecond of the latest event, now and how many are set aside;
--          'held' or 'early' with the millisecond until then; or 'taken', tries, and of each event
--          place and body; settle, retry, drop: 1 if it was done, else 0

local floor, max, min = math.floor, math.max, math.min
local format, match = string.format, string.match
local call = redis.call
local prefix, action = KEYS[1], ARGV[2]
local stream, state = prefix .. ':l', prefix .. ':o'
local aside, again = prefix .. ':a', prefix .. ':b'
local DAY = 86400000
local LONGEST = 3600000   -- that anything waits for its next try
local CHUNK, LEAST = 100, 8   -- entries that are read at once

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + floor(time[2] / 1000)
end
-- As in record.lua: on a Cluster a script ends here, before it began, while the slot is moved.
call('EXISTS', prefix .. ':')

local function field(name)
  return call('HGET', state, name) or ''
end

local function number(name)
  return tonumber(call('HGET', state, name)) or 0
end

local function set(name, value)
  call('HSET', state, name, type(value) == 'number' and format('%d', value) or value)
end

local function is_after(one, other)
  local one_ms, one_number = match(one, '^(%d+)-(%d+)$')
  local other_ms, other_number = match(other, '^(%d+)-(%d+)$')
  one_ms, other_ms = tonumber(one_ms), tonumber(other_ms)
  return one_ms > other_ms
    or (one_ms == other_ms and tonumber(one_number) > tonumber(other_number))
end

-- Entries behind `at` that wait; what is only kept is passed over.
local function following(most)
  local found, from = {}, field('at')
  if from == '' or number('waiting') == 0 then
    return found
  end
  while #found < most do
    local count = min(CHUNK, max(LEAST, most - #found))
    local entries = call('XRANGE', stream, '(' .. from, '+', 'COUNT', format('%d', count))
    for _, entry in ipairs(entries) do
      from = entry[1]
      if entry[2][1] == 'w' and #found < most then
        table.insert(found, { entry[1], entry[2][2] })
      end
    end
    if #entries < count then
      break
    end
  end
  return found
end

-- Forget what nobody needs: what was delivered, unless it is kept for a while.
local function tidy(kept)
  local waiting, refused = number('waiting'), call('HLEN', aside)
  if kept == 0 then
    if waiting == 0 then
      call('DEL', stream)
    else
      local first = following(1)[1]
      if first then
        call('XTRIM', stream, 'MINID', first[1])
      end
    end
  elseif waiting == 0 then
    call('PEXPIRE', stream, format('%d', kept))
  end
  if waiting == 0 and refused == 0 then
    call('PEXPIRE', state, format('%d', kept + DAY))
  end
end

local function pass(place)
  local at = field('at')
  if at == '' or not is_after(place, at) then
    return false
  end
  set('at', place)
  set('waiting', max(0, number('waiting') - 1))
  return true
end

if action == 'look' then
  local first = call('LINDEX', again, 0)
  local oldest = following(1)[1]
  local shown = first or (oldest and oldest[1]) or ''
  return {
    format('%d', now), field('last'), format('%d', number('waiting') + call('LLEN', again)),
    format('%d', call('HLEN', aside) - call('LLEN', again)), field('tries'), field('due'),
    field('fault'), shown, match(shown, '^(%d+)-') or '',
  }
end

if action == 'take' then
  local holder, lasts, most = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
  if number('waiting') + call('LLEN', again) == 0 then
    return {
      'empty', match(field('last'), '^(%d+)-') or '0', format('%d', now),
      format('%d', call('HLEN', aside)),
    }
  end
  local held_by, till, due = field('holder'), number('until'), number('due')
  -- What is further away than can be was said before the clock was set back.
  if held_by ~= '' and held_by ~= holder and till > now and till <= now + lasts then
    return { 'held', format('%d', till) }
  elseif due > now and due <= now + LONGEST then
    return { 'early', format('%d', due) }
  end
  set('holder', holder)
  set('until', now + lasts)
  local reply = { 'taken', field('tries') == '' and '0' or field('tries') }
  for _, place in ipairs(call('LRANGE', again, 0, most - 1)) do
    local entry = call('HGET', aside, place)
    if entry then
      table.insert(reply, place)
      table.insert(reply, (match(entry, '^%d+ %d+ (.*)$')))
    end
  end
  for _, entry in ipairs(following(most - (#reply - 2) / 2)) do
    table.insert(reply, entry[1])
    table.insert(reply, entry[2])
  end
  return reply
end

if action == 'settle' then
  local holder, lasts, kept = ARGV[3], ARGV[4], tonumber(ARGV[5])
  if field('holder') ~= holder then
    return 0
  end
  local done, refused, wait, fault = unpack(cjson.decode(ARGV[6]))
  for _, place in ipairs(done) do
    if call('HDEL', aside, place) == 1 then
      call('LREM', again, 1, place)
    else
      pass(place)
    end
  end
  for _, told in ipairs(refused) do
    local place, status = told[1], told[2]
    local before = call('HGET', aside, place)
    if before then
      local body = match(before, '^%d+ %d+ (.*)$')
      call('HSET', aside, place, format('%d %d %s', status, now, body))
      call('LREM', again, 1, place)
    else
      local entry = call('XRANGE', stream, place, place)[1]
      if entry and pass(place) then
        call('HSET', aside, place, format('%d %d %s', status, now, entry[2][2]))
      end
    end
  end
  if wait >= 0 then
    set('tries', (#done + #refused > 0 and 0 or number('tries')) + 1)
    set('due', now + wait)
    set('fault', fault)
  elseif #done + #refused > 0 then
    call('HDEL', state, 'tries', 'due', 'fault')
  end
  if lasts == '' then
    call('HDEL', state, 'holder', 'until')
  else
    set('until', now + tonumber(lasts))
  end
  tidy(kept)
  return 1
end

local place = ARGV[3]
local is_aside = call('HEXISTS', aside, place) == 1
local first = following(1)[1]
if not is_aside and not (first and first[1] == place) then
  return 0
end
if action == 'retry' then
  if is_aside and not call('LPOS', again, place) then
    call('RPUSH', again, place)
  end
  call('HDEL', state, 'due')
  return 1
end
if is_aside then
  call('HDEL', aside, place)
  call('LREM', again, 0, place)
else
  -- It was this one that was not taken; the next has its first try.
  pass(place)
  call('HDEL', state, 'tries', 'due', 'fault')
end
tidy(tonumber(ARGV[4]))
return 1
