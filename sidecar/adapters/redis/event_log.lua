-- The log of accepted events: in front of record.lua, which writes it in the step that counts.
--
-- ARGV[3]  JSON of [mark, bound, kept in milliseconds, [[what an event's sender told, '' for
--          none], ...]]; '' where nothing is logged. mark: 'w' where the control plane is to have
--          them, 'k' where they are only kept; bound: how many may wait.
--
-- <prefix>:l  a stream; ids are the millisecond of arrival and a number. The one field of an entry
--             is its mark, with what was told.
-- <prefix>:o  a hash: last (latest id in the stream), at (up to there nothing waits any more),
--             waiting (how many do), and of their delivery: tries due fault holder until
-- <prefix>:a  a hash of what was refused: id -> 'status millisecond body'
-- <prefix>:b  a list of those of them that are to be tried again

local function event_log()
  if (ARGV[3] or '') == '' then
    return { has_room = function() return true end, append = function() end, finish = function() end }
  end
  local mark, bound, kept, told = unpack(cjson.decode(ARGV[3]))
  local stream, state, aside = prefix .. ':l', prefix .. ':o', prefix .. ':a'
  local last, at, waiting = unpack(call('HMGET', state, 'last', 'at', 'waiting'))
  waiting = tonumber(waiting) or 0
  local before, added = last, 0
  local last_ms, number = match(last or '0-0', '^(%d+)-(%d+)$')
  last_ms, number = tonumber(last_ms), tonumber(number)

  local log = {}

  -- Asked before anything is written; as if none of the events were known.
  function log.has_room()
    if mark ~= 'w' then
      return true
    end
    local news = 0
    for _, body in ipairs(told) do
      news = news + (body == '' and 0 or 1)
    end
    return news == 0 or waiting + call('HLEN', aside) + news <= bound
  end

  function log.append(i)
    if told[i] == '' then
      return
    end
    -- An id is never less than the one before, even where the clock was set back.
    if now > last_ms then
      last_ms, number = now, 0
    end
    number = number + 1
    last = format('%d-%d', last_ms, number)
    call('XADD', stream, last, mark, told[i])
    added = added + 1
  end

  function log.finish()
    if added == 0 then
      return
    end
    call('HSET', state, 'last', last)
    if mark == 'w' then
      if waiting == 0 then
        at = before or '0-0'
        call('HSET', state, 'at', at)
      end
      waiting = waiting + added
      call('HSET', state, 'waiting', format('%d', waiting))
    end
    if kept > 0 then
      local oldest = now - kept
      if waiting > 0 then
        oldest = min(oldest, tonumber(match(at, '^%d+')))
      end
      call('XTRIM', stream, 'MINID', '~', format('%d', max(0, oldest)))
    end
    if waiting > 0 then
      call('PERSIST', stream)
      call('PERSIST', state)
    else
      call('PEXPIRE', stream, format('%d', kept))
      call('PEXPIRE', state, format('%d', kept + 86400000))
    end
  end

  return log
end
