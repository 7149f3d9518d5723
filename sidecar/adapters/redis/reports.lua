-- What was used, hour by hour, for the dashboards.
--
-- Reports stand under <prefix>:u:<day> for all users and <prefix>:u:<day>:<user>, a hash:
--   hour model workflow agent plugin, by tabs -> tokens input output requests cost

local function reports()
  local floor, min = math.floor, math.min
  local format, match = string.format, string.match
  local call = redis.call
  local prefix = KEYS[1]
  local DAY = 86400000
  local REPORTED = 90 * DAY
  local ROWS, ROWS_OF_USER = 4096, 512

  local function report_in(key, field, rows, amounts)
    local value = call('HGET', key, field)
    local count = 0
    if not value then
      count = call('HLEN', key)
      if count >= rows then
        field = match(field, '^%d+') .. '\t*\t*\t*\t*'
        value = call('HGET', key, field)
      end
    end
    local t, i, o, r, c = match(value or '0 0 0 0 0', '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
    call('HSET', key, field, format('%d %d %d %d %d', min(t + amounts.tokens, LARGEST),
      min(i + amounts.input_tokens, LARGEST), min(o + amounts.output_tokens, LARGEST),
      min(r + amounts.requests, LARGEST), min(c + amounts.cost, LARGEST)))
    if not value and count == 0 then
      call('PEXPIRE', key, format('%d', REPORTED + DAY))
    end
  end

  -- What was used in an hour, with which model, workflow, agent and plugin.
  local function report(hour, user, dimensions, amounts)
    if amounts.tokens + amounts.input_tokens + amounts.output_tokens + amounts.requests
      + amounts.cost <= 0 then
      return
    end
    local day = format('%s:u:%d', prefix, floor(hour / 24))
    local field = format('%d\t%s', hour, dimensions)
    report_in(day, field, ROWS, amounts)
    report_in(day .. ':' .. user, field, ROWS_OF_USER, amounts)
  end

  return report
end
