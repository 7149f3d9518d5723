-- What counters hold.
--
-- ARGV[2]  n, then n counters: name kind a b
--          m, then m limits: index of counter, maximum (-1 for none), units needed
-- Returns  {'ok', now, used held resets_at of each counter, fits_at of each limit}, times in
--          milliseconds, 0 for none; {'period', now} if now lies outside a given period

local counters = {}
local reply = { 'ok', text(now) }
for i = 1, number() do
  local name, kind, a, b = take(), take(), number(), number()
  if kind == 'p' and (now < a or (b > 0 and now >= b)) then
    return { 'period', text(now) }
  end
  local counter = load(name, kind, a, b)
  counters[i] = counter
  table.insert(reply, text(counter.used))
  table.insert(reply, text(counter.held))
  table.insert(reply, text(resets_at(counter)))
end
for _ = 1, number() do
  local counter, maximum, need = counters[number()], number(), number()
  local fits = 0
  if maximum >= 0 and counter.used + counter.held + need > maximum then
    fits = fits_at(counter, maximum, need)
  end
  table.insert(reply, text(fits))
end
return reply
