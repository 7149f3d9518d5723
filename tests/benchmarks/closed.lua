-- A check that holds, then the commit of what it held: what wrk sends, made of prepared pieces.
--
-- args[1]  the folder in which load.py has put down the pieces and whose turn it is
-- args[2]  'checks' for checks alone, whose reservations nobody commits
--
-- An echo gives no reservation; after its answer to a check a commit of a made-up one follows, so
-- that it is sent the same bytes. Which commit goes with which check nobody notes: they take turns.
local find, sub, format = string.find, string.sub, string.format
local checks, commits, apps, users = nil, nil, {}, {}
local asked, told = 0, 0
local held, count, is_committed = {}, 0, true

function init(args)
  local load = dofile(args[1] .. '/requests.lua')
  checks, commits = load.checks, load.commits
  is_committed = args[2] ~= 'checks'
  for line in io.lines(args[1] .. '/turns.txt') do
    local app, user = string.match(line, '(%S+) (%S+)')
    apps[#apps + 1], users[#users + 1] = app, user
  end
end

function request()
  if count > 0 then
    local id = held[count]
    count = count - 1
    told = told % #commits + 1
    local commit = commits[told]
    return commit[1] .. id .. commit[2]
  end
  asked = asked % #users + 1
  local check = checks[asked % #checks + 1]
  return check[1] .. apps[asked] .. check[2] .. users[asked] .. check[3]
end

function response(_, _, body)
  if not is_committed then
    return
  end
  local _, last = find(body, '"reservation":{"id":"', 1, true)
  if last then
    if find(body, '"decision_id"', 1, true) then
      count = count + 1
      held[count] = sub(body, last + 1, find(body, '"', last + 1, true) - 1)
    end
  elseif find(body, '"app_id"', 1, true) then
    count = count + 1
    held[count] = 'res_YTAw.AAAAAAAAAAAAAAAAAAAAAAAA'
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(format(
    '\nfigures {"requests":%d,"us":%d,"p50":%d,"p99":%d,"p999":%d,"most":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
