#!lua flags=allow-oom
-- settle: writes down what one attempt came to: delivered, postponed or dead.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  destination    ARGV[2] lead            ARGV[3] version
-- ARGV[4]  token of the lease                     ARGV[5] now, ms
-- ARGV[6]  "delivered" | "retry" | "dead"
-- ARGV[7]  when it is due again, ms, 0: at once, in its old place (retry)
-- ARGV[8]  "1": the attempt is charged (retry)
-- ARGV[9]  "1": refused, as if by a destination that refuses everybody (retry)
-- ARGV[10] the attempt, JSON: at, version, result, status, reason, took    ARGV[11] reason    ARGV[12] excerpt
-- ARGV[13] when it began, ms, 0: its try is not given back whatever the destination does (retry)
-- ARGV[14] the destination's own id of the lead, sealed, "": it named none (delivered)
-- ARGV[15] the day on which its submission was received, as the desk counts days, "": it is not timed (delivered)
-- ARGV[16] how long it took from there, in quarters of an octave of ms (delivered)
-- result   "settled" | "known" (the version stood so already) | "lost" (we hold it no longer: it was settled, or
--          another holds it) | "gone" (no such lead)
-- Only the holder of the lease may postpone or kill; a success is a fact whoever reports it.
--@include copy
--@include states
--@include tally

local MOST_WHY = 20
local MOST_FAILED = 20 -- of the latest so many tries is known when they began

local base, dest, lead, version, token = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local now, result, due = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local lead_key = base .. 'lead:' .. lead

local function everybody_knows()
  for _, known in ipairs(records_of(lead_key)) do
    local letter = string.sub(known[2].s, -1)
    if letter == 'w' or letter == 'x' then return false end
  end
  return true
end

-- Of many that died, the latest say why.
local function forget_why(record)
  local numbers = {}
  for name in pairs(record.why) do numbers[#numbers + 1] = tonumber(name) end
  table.sort(numbers)
  for place = 1, #numbers - MOST_WHY do record.why[tostring(numbers[place])] = nil end
end

local kept, attempts, erased, latest = unpack(
  redis.call('HMGET', lead_key, 'd:' .. dest, 'a:' .. dest, 'erased', 'version'))
if not kept then return 'gone' end
local record = cjson.decode(kept)
local is_holder = record.token == token and record.v == version

if result == 'delivered' then
  if ARGV[14] ~= '' then record.id = ARGV[14] end
  local is_news = move(base, dest, record, version, 'd')
  if not is_news and not is_holder then return 'known' end
  -- What was sent again by hand had come before.
  if is_news and ARGV[15] ~= '' and record.again ~= version then
    add_up(base .. 'day:' .. ARGV[15] .. ':took', ARGV[16], 1, now)
  end
  record.refused = nil
elseif not is_holder then
  return 'lost'
elseif state(record, version) ~= 'w' then
  result = 'known'
elseif result == 'dead' then
  move(base, dest, record, version, 'x')
  record.why = record.why or {}
  record.why[tostring(version)] = {now, ARGV[11], ARGV[12]}
  forget_why(record)
  redis.call('ZADD', base .. 'dead:' .. dest, now, lead)
else
  record.n = record.n + tonumber(ARGV[8])
  if ARGV[8] == '0' then record.probed = now end
  record.own = ARGV[13] == '0' and due > now or nil
  if ARGV[8] == '1' and ARGV[13] ~= '0' then
    record.failed = record.failed or {}
    table.insert(record.failed, tonumber(ARGV[13]))
    if #record.failed > MOST_FAILED then table.remove(record.failed, 1) end
  end
  if ARGV[9] == '1' then record.refused = now end
end

if is_holder then record.token, record.till = nil, nil end
if not erased or version == tonumber(latest) then
  redis.call('HSET', lead_key, 'd:' .. dest, cjson.encode(record), 'a:' .. dest, noted(attempts, ARGV[10], 6000))
else
  -- Of an erased lead only what was said to its erasure: an answer to what was sent before may repeat what it got.
  keep(lead_key, dest, record)
end
local next_version = last(record, 'w')
local is_later = is_holder and next_version > 0 and next_version ~= version
if is_later or result ~= 'retry' then due = now end
if due == 0 then due = acceptance_of(lead_key, version) end
-- A success that comes late changes nothing about when another version is due, nor who holds it.
place(base, lead_key, lead, dest, record, is_holder and due or nil)
if is_later then redis.pcall('PUBLISH', 'leads:wake', dest) end
if erased and everybody_knows() then
  -- Everybody who had the lead knows that it was erased: nothing is left to be kept.
  redis.call('DEL', lead_key)
  redis.call('ZREM', base .. 'leads', lead)
end
return result == 'known' and 'known' or 'settled'
