#!lua flags=allow-oom
-- report: gives a slot back and tells the destination's state what its attempt came to.
-- KEYS[1]  base of the destination's keys, "leads:{destination:NAME}:"
-- ARGV[1]  now, ms        ARGV[2] name of the slot
-- ARGV[3]  "delivered" | "answered" (refused that lead alone) | "failed" | "load" (asks everybody to slow down)
--          | "refused" (as if it refused everybody) | "unused" | "unclaimed" (there was nothing to attempt)
--          | "resumed" (no attempt: somebody says that it is mended)
-- ARGV[4]  load: how long everybody is to wait, ms, 0: not said
-- ARGV[5]  concurrency    ARGV[6] "1": it was a probe     ARGV[7] reason of a failure
-- ARGV[8]  after "refused": first pause, ms               ARGV[9]  longest
-- ARGV[10] of so many different leads failures in a row pause, if ARGV[11] ms have passed since the first of them
-- ARGV[12] after those: first pause, ms                   ARGV[13] longest
-- ARGV[14] the lead that was attempted, "": its failure says nothing about others
-- ARGV[15] when that was refused before, ms, 0: never
-- ARGV[16] "refused" pauses only if nothing was delivered for so many ms   ARGV[17] ms between two attempts, 0: no rate
-- ARGV[18] when the attempt began, ms
-- result   "opened" | "paused" (by this report, or for another reason) | "closed" (it is paused, or was when the attempt
--          began) | "open"
--          | "alone" (refused as the only one lately, while nothing else got through: nobody knows yet whose fault it is)
-- A second run with the same slot changes nothing; but a delivery opens the destination however late it is told.

local base, now, result, reason = KEYS[1], tonumber(ARGV[1]), ARGV[3], ARGV[7]
local state_key = base .. 'state'
local is_probe = ARGV[6] == '1'
local concurrency, lead, began = tonumber(ARGV[5]), ARGV[14], tonumber(ARGV[18])
local paused, limited, failing_since, failing_from, alone_from = unpack(
  redis.call('HMGET', state_key, 'paused', 'limit', 'failing_since', 'failing_from', 'alone_from'))
local pauses = {refused = {ARGV[8], ARGV[9]}, failing = {ARGV[12], ARGV[13]}}

local is_first = redis.call('ZREM', base .. 'slots', ARGV[2]) == 1
if not is_first and result ~= 'delivered' and result ~= 'resumed' then return paused and 'closed' or 'open' end

local limit = math.min(tonumber(limited or concurrency), concurrency)

local function give_back_concurrency()
  if not limited then return end
  if limit >= concurrency then
    redis.call('HDEL', state_key, 'limit', 'streak')
  elseif redis.call('HINCRBY', state_key, 'streak', 1) >= 10 then
    redis.call('HINCRBY', state_key, 'limit', 1)
    redis.call('HDEL', state_key, 'streak')
  end
end

local function slow_down(wait)
  redis.call('HDEL', state_key, 'streak')
  if wait == 0 then
    redis.call('HSET', state_key, 'limit', math.max(1, math.floor(limit / 2)))
  else
    local not_before = tonumber(redis.call('HGET', state_key, 'not_before') or 0)
    redis.call('HSET', state_key, 'not_before', math.max(now + wait, not_before))
  end
end

local function pause_as(kind, since, length)
  redis.call('HSET', state_key, 'paused', kind, 'paused_since', since, 'reason', reason,
    'pause', length, 'probe_at', now + length)
end

-- Notes that what was attempted since then is to be given back.
local function give_back(since)
  local from = tonumber(redis.call('HGET', state_key, 'back_from') or since)
  redis.call('HSET', state_key, 'back_from', math.min(from, since), 'back_till', now)
end

local function open()
  for _, since in ipairs({'paused_since', 'failing_from', 'alone_from'}) do
    give_back(tonumber(redis.call('HGET', state_key, since) or now))
  end
  redis.call('HDEL', state_key, 'paused', 'paused_since', 'reason', 'pause', 'probe_at', 'failing', 'failing_since',
    'failing_from', 'alone_from', 'alone_reason')
  redis.call('HSET', state_key, 'opened_at', now)
  redis.pcall('PUBLISH', 'leads:wake', string.match(base, '{destination:(.*)}'))
  return 'opened'
end

-- Notes a failure in a row; says whether so many different leads failed that it is no fault of theirs, and since when.
local function note_failure()
  if redis.call('HSETNX', state_key, 'failing_since', now) == 1 then
    redis.call('HDEL', state_key, 'failing', 'failing_from')
  end
  local from = tonumber(redis.call('HGET', state_key, 'failing_from') or began)
  redis.call('HSET', state_key, 'failing_from', math.min(began, from))
  local failing, number = ' ' .. (redis.call('HGET', state_key, 'failing') or ''), 0
  if not string.find(failing, ' ' .. lead .. ' ', 1, true) then failing = failing .. lead .. ' ' end
  for _ in string.gmatch(failing, '%S+') do number = number + 1 end
  local is_enough = number >= tonumber(ARGV[10])
  if number <= tonumber(ARGV[10]) then redis.call('HSET', state_key, 'failing', string.sub(failing, 2)) end
  return is_enough, tonumber(redis.call('HGET', state_key, 'failing_since'))
end

-- Others get through, so that a refusal is about the lead alone.
local function do_others_get_through()
  local delivered_at, refused_before = tonumber(redis.call('HGET', state_key, 'delivered_at') or 0), tonumber(ARGV[15])
  return now - delivered_at < tonumber(ARGV[16]) or refused_before > 0 and delivered_at > refused_before
end

-- A refusal after failures is news: somebody has to change something, and time alone will not mend it.
local function probe_failed()
  local kind = result == 'refused' and 'refused' or paused
  local first, longest = tonumber(pauses[kind][1]), tonumber(pauses[kind][2])
  local length = tonumber(redis.call('HGET', state_key, 'pause')) * 2
  if result == 'answered' then reason = redis.call('HGET', state_key, 'reason') end
  pause_as(kind, redis.call('HGET', state_key, 'paused_since'), math.min(math.max(length, first), longest))
  return kind == paused and 'closed' or 'paused'
end

if result == 'resumed' then
  return (paused or alone_from) and open() or 'open'
elseif result == 'delivered' or result == 'answered' then
  if result == 'delivered' then redis.call('HSET', state_key, 'delivered_at', now) end
  if result == 'delivered' and is_first then give_back_concurrency() end
  if paused == 'failing' or (paused and result == 'delivered') then return open() end
  if not paused then
    if failing_since or failing_from then
      redis.call('HDEL', state_key, 'failing', 'failing_since', 'failing_from')
    end
    if alone_from and result == 'delivered' then
      give_back(tonumber(alone_from))
      redis.call('HDEL', state_key, 'alone_from', 'alone_reason')
    end
  end
elseif result == 'unused' or result == 'unclaimed' then
  if result == 'unclaimed' then
    redis.call('HDEL', state_key, 'untried_at')
    if tonumber(ARGV[17]) > 0 then redis.call('HINCRBYFLOAT', state_key, 'next_at', '-' .. ARGV[17]) end
  end
  if paused and is_probe then redis.call('HSET', state_key, 'probe_at', now) end
  return paused and 'closed' or 'open'
elseif result == 'load' then
  slow_down(tonumber(ARGV[4]))
end

if paused then return is_probe and probe_failed() or 'closed' end
if result == 'delivered' or result == 'answered' then return 'open' end
if began < tonumber(redis.call('HGET', state_key, 'opened_at') or 0) then return 'closed' end
if lead == '' then return 'open' end
if result == 'refused' and do_others_get_through() then return 'open' end
local is_enough, since = note_failure()
if result == 'refused' then
  if not is_enough then
    redis.call('HSETNX', state_key, 'alone_from', began)
    redis.call('HSET', state_key, 'alone_reason', reason)
    return 'alone'
  end
elseif not is_enough or now - since < tonumber(ARGV[11]) then
  return 'open'
end
local kind = result == 'refused' and 'refused' or 'failing'
pause_as(kind, since, tonumber(pauses[kind][1]))
return 'paused'
