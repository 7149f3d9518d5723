-- A check that holds, and the commit after it, for a thousand users in turn. An echo gives no
-- reservation, so it is only ever asked the first.
local asked = 0
local held = {}
local json = { ['Content-Type'] = 'application/json' }

request = function()
  local id = table.remove(held)
  if id then
    return wrk.format('POST', '/v1/reservations/' .. id .. '/commit', json, '{"total_tokens":0}')
  end
  asked = asked + 1
  local body = '{"app_id":"a' .. (asked % 50) .. '","user_id":"u' .. (asked % 1000) ..
    '","plugin":"basic_search","model":"gpt-4o","estimated_tokens":0,"reserve":true}'
  return wrk.format('POST', '/v1/check', json, body)
end

response = function(_, _, body)
  local id = string.match(body, '"reservation":{"id":"(res_[^"]+)","expires_at"')
  if id then
    table.insert(held, id)
  end
end
