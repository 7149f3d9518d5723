-- Commit, release or withdraw a reservation, or find the request that it was made for.
--
-- ARGV[2]  id of the reservation
-- ARGV[3]  commit: charge the total so far in the windows of the hold, after expiry too
--          finish: commit, and give the rest back
--          release: give all back; withdraw: release, and forget that it was
--          find: nothing but the request
-- ARGV[4]  the total use so far: tokens input_tokens output_tokens cost; -1 for what is not
--          told: in the end it is what was held
-- Returns  {'ok', state, expires_at, tokens granted, limits shown, request,
--          used held resets_at of each counter in the order of the hold};
--          {'unknown'}; {'ended', state}

local id, action = take(), take()
local amounts = {
  tokens = number(), input_tokens = number(), output_tokens = number(), cost = number(),
  requests = 1, concurrency = 0,
}

-- Whether a commit that came before knew less.
local function is_more(entries)
  local told = sums_of(entries)
  for _, entry in ipairs(entries) do
    if amounts[entry.meter] > told[entry.name] then
      return true
    end
  end
  return false
end

local key = prefix .. ':r:' .. id
local fields = redis.call('HMGET', key, 'st', 'ex', 'tk', 'ld', 'rq', 'en', 'op')
local state = fields[1]
if not state then
  return { 'unknown' }
end
local entries = entries_of(fields[6])

if action == 'find' then
  if state ~= 'held' then
    return { 'ended', state }
  end
elseif action == 'release' or action == 'withdraw' then
  if state == 'committed' then
    return { 'ended', state }
  end
  let_go(entries)
  if state == 'held' then
    state = 'released'
  end
  redis.call('ZREM', prefix .. ':x', id)
  if action == 'withdraw' then
    redis.call('DEL', key)
    local request = prefix .. ':o:' .. fields[7]
    if redis.call('GET', request) == id then
      redis.call('DEL', request)
    end
  else
    redis.call('HSET', key, 'st', state, 'en', lines_of(entries))
    redis.call('PEXPIRE', key, text(KEPT))
  end
elseif state == 'released' or (state == 'committed' and is_more(entries)) then
  return { 'ended', state }
elseif state ~= 'committed' then
  draw(entries, amounts, false, action == 'finish')
  if action == 'finish' then
    let_go(entries)
    state = 'committed'
    redis.call('ZREM', prefix .. ':x', id)
    redis.call('PEXPIRE', key, text(KEPT))
  end
  redis.call('HSET', key, 'st', state, 'en', lines_of(entries))
end

local reply = { 'ok', state, fields[2], fields[3], fields[4], fields[5] }
local seen = {}
for _, entry in ipairs(entries) do
  if not seen[entry.name] then
    seen[entry.name] = true
    local counter = load(entry.name, entry.kind, entry.a, entry.b)
    table.insert(reply, text(counter.used))
    table.insert(reply, text(counter.held))
    table.insert(reply, text(resets_at(counter)))
  end
end
return reply
