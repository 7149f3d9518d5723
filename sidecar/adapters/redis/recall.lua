-- Whether this was asked before, or what there is to extend: the beginning of reserve.lua.

local action, place, record, numbers = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local ttl, starts, ends, position = unpacked('<ddd', numbers)
local offset = 3

local values = call('MGET', unpack(KEYS))
local epoch, due, more = '', 0, false
if values[1] then
  epoch, due = sub(values[1], 1, 16), sub(values[1], 18) + 0
end
if epoch == '' or (due > 0 and due <= now) then
  epoch, due, more = ledger().read_head(values[1], action ~= 'recall')
  values = call('MGET', unpack(KEYS))
end
local purse = values[3]

local asked, limits       -- the record of this request, where it must be read, and its limits
local known, known_key    -- a live record, which is extended, and where it stands
local earlier             -- the operation ids of the extensions before this one
if action ~= 'reserve' or values[2] or purse then
  asked = ledger().read_record(record)
  limits = asked.limits
end

if action ~= 'reserve' or values[2] then
  local book = ledger()
  book.stand_still()

  -- What was told under other limits, or is not known any more, is not told again.
  local function first_answer(standing, decision, readings, under)
    local lines = format('known\n%s\n%d\n%d\n%s\n%s', epoch, standing.expires, standing.tokens,
      standing.nonce, decision)
    return { lines, under == limits and readings or '' }
  end

  if action == 'extend' then
    local state
    known, known_key, place = book.find_record(place, asked.nonce)
    if known then
      state = known.state
    else
      state = book.remembered_end(ARGV[3], asked.nonce)
    end
    if state ~= 'held' then
      return state and 'ended\n' .. epoch .. '\n' .. state or 'unknown\n' .. epoch
    end
    local latest = book.read_extension(known)
    if latest.decision == asked.decision then
      return first_answer(known, latest.decision, known.told_last, latest.limits)
    elseif string.find(latest.earlier, ' ' .. asked.decision .. ' ', 1, true) then
      -- Another extension came in between: what was read before this one is not remembered.
      return first_answer(known, asked.decision)
    end
    earlier = latest.earlier .. (latest.decision or '') .. ' '
    ttl = max(ttl, known.expires - now)
  else
    local standing = values[2] and book.read_record(values[2])
    local is_same = standing and standing.nonce == asked.nonce
    if standing and not is_same and standing.expires + REMEMBERED <= now then
      -- The id was used for something else long ago; what became of it may still be told.
      call('RENAME', KEYS[2], KEYS[2] .. standing.nonce)
      if call('ZREM', prefix .. ':x', place) == 1 then
        call('ZADD', prefix .. ':x', format('%d', standing.expires), place .. standing.nonce)
      end
    elseif standing and not is_same and standing.fingerprint ~= asked.fingerprint then
      return 'reused\n' .. epoch
    elseif standing then
      return first_answer(standing, standing.decision, standing.readings, standing.limits)
    end
    if action == 'recall' then
      return 'unknown\n' .. epoch
    end
  end
end

if now < starts or (ends > 0 and now >= ends) then
  return 'period\n' .. epoch .. '\n' .. format('%d', now)
end
