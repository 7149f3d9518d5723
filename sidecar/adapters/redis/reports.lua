-- What was used, hour by hour, for the dashboards.
--
-- Reports stand under <prefix>:u:<day> for all users and <prefix>:u:<day>:<user>, a hash:
--   hour model workflow agent plugin, by tabs -> tokens input output requests cost

-- What was used in an hour, with which model, workflow, agent and plugin.
local function report(hour, user, dimensions, tokens, received, sent, requests, cost)
  if tokens + received + sent + requests + cost <= 0 then
    return
  end
  local call, format, min = redis.call, string.format, math.min
  local KEPT = '7862400000'   -- 91 days
  local key, rows = format('%s:u:%d', KEYS[1], math.floor(hour / 24)), 4096
  local row = format('%d\t%s', hour, dimensions)
  for _ = 1, 2 do
    local field, count = row, nil
    local value = call('HGET', key, field)
    if not value then
      count = call('HLEN', key)
      if count >= rows then
        field = format('%d\t*\t*\t*\t*', hour)
        value = call('HGET', key, field)
      end
    end
    local t, i, o, r, c = 0, 0, 0, 0, 0
    if value then
      t, i, o, r, c = string.match(value, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
    end
    call('HSET', key, field, format('%d %d %d %d %d', min(t + tokens, LARGEST),
      min(i + received, LARGEST), min(o + sent, LARGEST), min(r + requests, LARGEST),
      min(c + cost, LARGEST)))
    if count == 0 then
      call('PEXPIRE', key, KEPT)
    end
    key, rows = key .. ':' .. user, 512
  end
end
