-- The end of read.lua.

return { 'ok\n' .. epoch .. '\n' .. (purse or ''), readings }
