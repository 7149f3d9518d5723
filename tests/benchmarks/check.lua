-- A check that holds, for a thousand users in turn.
local n = 0
request = function()
  n = n + 1
  local body = '{"app_id":"a' .. (n % 50) .. '","user_id":"u' .. (n % 1000) ..
    '","plugin":"basic_search","model":"gpt-4o","estimated_tokens":0,"reserve":true}'
  return wrk.format('POST', '/v1/check', { ['Content-Type'] = 'application/json' }, body)
end
