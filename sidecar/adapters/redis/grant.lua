-- Add a grant to those of a user, or revoke what is left of it.
--
-- KEYS[2]  the user's grants
-- ARGV[2]  id; ARGV[3] scope; ARGV[4] amount, 0 to revoke; ARGV[5] effective, ARGV[6] expires (0
--          for never), in milliseconds; ARGV[7] reason; ARGV[8] grants that may stand at once
-- Returns  lines: 'synced', 'duplicate' or 'revoked', epoch, the grant as it stands; or 'other':
--          the id came with other content, 'many': the user has too many; and the epoch

local id, scope, amount, expires = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[6])
local FORGOTTEN = 90 * 86400000   -- milliseconds after it was over
local book = ledger()
local epoch = book.read_head(call('GET', prefix), true)
local grants, standing = {}, 0
local known

for _, grant in ipairs(book.read_grants(call('GET', KEYS[2]))) do
  local has_expired = grant.expires > 0 and grant.expires <= now
  local is_over = grant.held == 0
    and (has_expired or grant.revoked or grant.used >= grant.amount)
  local since = has_expired and grant.expires or grant.changed_at
  if grant.id == id then
    known = grant
  end
  if grant.id == id or not is_over or since + FORGOTTEN > now then
    table.insert(grants, grant)
  end
  if not is_over then
    standing = standing + 1
  end
end

-- Byte by byte: Lua's own order of texts is that of the server's locale.
local function is_before(one, other)
  for i = 1, min(#one, #other) do
    local first, second = string.byte(one, i), string.byte(other, i)
    if first ~= second then
      return first < second
    end
  end
  return #one < #other
end

local outcome = 'duplicate'
if not known then
  if amount > 0 and standing >= tonumber(ARGV[8]) then
    return 'many\n' .. epoch
  end
  outcome = amount > 0 and 'synced' or 'revoked'
  known = {
    id = id, scope = scope, amount = amount, used = 0, held = 0, effective = tonumber(ARGV[5]),
    expires = expires, revoked = amount == 0, changed_at = now, reason = ARGV[7],
  }
  table.insert(grants, known)
  table.sort(grants, function(one, other)
    local first = one.expires > 0 and one.expires or math.huge
    local second = other.expires > 0 and other.expires or math.huge
    if first ~= second then
      return first < second
    elseif one.effective ~= other.effective then
      return one.effective < other.effective
    end
    return is_before(one.id, other.id)
  end)
elseif known.revoked then
  outcome = 'duplicate'
elseif amount == 0 then
  outcome = 'revoked'
  known.revoked, known.changed_at = true, now
elseif known.scope ~= scope or known.amount ~= amount or known.expires ~= expires then
  return 'other\n' .. epoch
end
if outcome ~= 'duplicate' then
  book.store_grants(KEYS[2], grants)
end
return outcome .. '\n' .. epoch .. '\n' .. book.line_of(known)
