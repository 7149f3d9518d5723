-- What grants a user has, and what they pay.
--
-- The grants of a user stand under <prefix>:g:<user>, in the order in which they are drawn, each
-- a line: id scope amount used held effective expires revoked changed reason

local function purses()
  local max, min = math.max, math.min
  local format, gmatch = string.format, string.gmatch
  local call = redis.call
  local prefix = KEYS[1]
  local DAY = 86400000
  local grants_of = {}

  local function read_grants(value)
    local grants = {}
    for id, scope, amount, used, held, effective, expires, revoked, changed, reason in
      gmatch(value or '', '(%S+) (%S+) (%d+) (%d+) (%d+) (%-?%d+) (%d+) (%d) (%d+) ([^\n]*)\n') do
      table.insert(grants, {
        id = id, scope = scope, amount = amount + 0, used = used + 0, held = held + 0,
        effective = effective + 0, expires = expires + 0, revoked = revoked == '1',
        changed_at = changed + 0, reason = reason,
      })
    end
    return grants
  end

  local function line_of(grant)
    return format('%s %s %d %d %d %d %d %d %d %s\n', grant.id, grant.scope, grant.amount, grant.used,
      grant.held, grant.effective, grant.expires, grant.revoked and 1 or 0, grant.changed_at,
      grant.reason)
  end

  local function store_grants(key, grants)
    local lines, till = {}, 0
    for i, grant in ipairs(grants) do
      lines[i] = line_of(grant)
      till = grant.expires == 0 and math.huge or max(till, grant.expires)
    end
    call('SET', key, table.concat(lines))
    if till < math.huge then
      call('PEXPIRE', key, format('%d', max(till - now, 0) + 91 * DAY))
    end
  end

  local function purse_of(user)
    local purse = grants_of[user]
    if not purse then
      purse = { key = prefix .. ':g:' .. user, by_id = {} }
      purse.grants = read_grants(call('GET', purse.key))
      for _, grant in ipairs(purse.grants) do
        purse.by_id[grant.id] = grant
      end
      grants_of[user] = purse
    end
    return purse
  end

  -- What a grant can pay now.
  local function left(grant)
    if grant.revoked or grant.effective > now or (grant.expires > 0 and grant.expires <= now) then
      return 0
    end
    return max(0, grant.amount - grant.used - grant.held)
  end

  local function granted(grants, scopes)
    local units = 0
    for _, grant in ipairs(grants) do
      for _, scope in ipairs(scopes) do
        if scope == grant.scope then
          units = min(units + left(grant), LARGEST)
        end
      end
    end
    return units
  end

  local function draws_from(entry, grant)
    for _, scope in ipairs(entry.scopes) do
      if scope == grant.scope then
        return true
      end
    end
    return false
  end

  -- Let grants pay, in their order, what is over in the counters of these entries. A unit that
  -- is paid is paid in every counter that draws the grant.
  -- over: units by name, less when it returns; paid: told each grant, its units, and the names
  -- with the indexes of the entries that it pays in.
  local function pay(entries, grants, over, paid)
    for _, grant in ipairs(grants) do
      local most, names, indexes = 0, {}, {}
      for i, entry in ipairs(entries) do
        if draws_from(entry, grant) and over[entry.name] then
          names[entry.name] = true
          table.insert(indexes, i)
          most = max(most, over[entry.name])
        end
      end
      local units = min(left(grant), most)
      if units > 0 then
        grant.changed_at = now
        paid(grant, units, names, indexes)
        for name in pairs(names) do
          over[name] = max(0, over[name] - units)
        end
      end
    end
  end

  -- Take so many units out of what reservations hold of a grant; `used` of them are used now.
  local function settle_grant(user, id, units, used)
    local purse = purse_of(user)
    local grant = purse.by_id[id]
    if grant then
      grant.held, grant.used = max(0, grant.held - units), max(0, grant.used + used)
      grant.changed_at, purse.changed = now, true
    end
  end

  local function store_changed()
    for user, purse in pairs(grants_of) do
      if purse.changed then
        store_grants(purse.key, purse.grants)
      end
      grants_of[user] = nil
    end
  end

  return {
    granted = granted, line_of = line_of, pay = pay, purse_of = purse_of, read_grants = read_grants,
    settle = settle_grant, store = store_grants, store_changed = store_changed,
  }
end
