#!lua flags=allow-oom
-- report: gives a slot back and tells the destination's state what its attempt came to.
-- KEYS[1]  base of the destination's keys, "leads:{destination:NAME}:"
-- ARGV[1]  now, ms        ARGV[2] name of the slot
-- ARGV[3]  "delivered" | "answered" (refused that lead alone) | "failed" | "load" (asks everybody to slow down)
--          | "refused" (refuses everybody) | "unused"
-- ARGV[4]  load: how long everybody is to wait, ms, 0: not said
-- ARGV[5]  concurrency    ARGV[6] "1": it was a probe     ARGV[7] reason of a failure
-- ARGV[8]  after "refused": first pause, ms               ARGV[9]  longest
-- ARGV[10] failures in a row that pause, if ARGV[11] ms have passed since the first of them
-- ARGV[12] after those: first pause, ms                   ARGV[13] longest
-- result   "opened" | "paused" (by this report, or for another reason) | "closed" (it is paused) | "open"
-- A second run with the same slot changes nothing; but a delivery opens the destination however late it is told.

local base, now, result, reason = KEYS[1], tonumber(ARGV[1]), ARGV[3], ARGV[7]
local state_key = base .. 'state'
local is_probe = ARGV[6] == '1'
local concurrency = tonumber(ARGV[5])
local paused = redis.call('HGET', state_key, 'paused')
local pauses = {refused = {ARGV[8], ARGV[9]}, failing = {ARGV[12], ARGV[13]}}

local is_first = redis.call('ZREM', base .. 'slots', ARGV[2]) == 1
if not is_first and result ~= 'delivered' then return paused and 'closed' or 'open' end

local function limit() return math.min(tonumber(redis.call('HGET', state_key, 'limit') or concurrency), concurrency) end

local function give_back_concurrency()
  if limit() >= concurrency then
    redis.call('HDEL', state_key, 'limit', 'streak')
  elseif redis.call('HINCRBY', state_key, 'streak', 1) >= 10 then
    redis.call('HINCRBY', state_key, 'limit', 1)
    redis.call('HDEL', state_key, 'streak')
  end
end

local function slow_down(wait)
  redis.call('HDEL', state_key, 'streak')
  if wait == 0 then
    redis.call('HSET', state_key, 'limit', math.max(1, math.floor(limit() / 2)))
  else
    local not_before = tonumber(redis.call('HGET', state_key, 'not_before') or 0)
    redis.call('HSET', state_key, 'not_before', math.max(now + wait, not_before))
  end
end

local function pause_as(kind, since, length)
  redis.call('HSET', state_key, 'paused', kind, 'paused_since', since, 'reason', reason,
    'pause', length, 'probe_at', now + length)
end

local function open()
  redis.call('HDEL', state_key, 'paused', 'paused_since', 'reason', 'pause', 'probe_at')
  redis.pcall('PUBLISH', 'leads:wake', string.match(base, '{destination:(.*)}'))
  return 'opened'
end

-- Counts a failure in a row; true if it is time to stop trying.
local function is_failing()
  redis.call('HSETNX', state_key, 'failing_since', now)
  local failures = redis.call('HINCRBY', state_key, 'failures', 1)
  local since = tonumber(redis.call('HGET', state_key, 'failing_since'))
  return failures >= tonumber(ARGV[10]) and now - since >= tonumber(ARGV[11])
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

if result == 'delivered' or result == 'answered' then
  redis.call('HDEL', state_key, 'failures', 'failing_since')
  if result == 'delivered' and is_first then give_back_concurrency() end
  if paused == 'failing' or (paused and result == 'delivered') then return open() end
elseif result == 'unused' then
  if paused and is_probe then redis.call('HSET', state_key, 'probe_at', now) end
  return paused and 'closed' or 'open'
elseif result == 'load' then
  slow_down(tonumber(ARGV[4]))
end

if paused then return is_probe and probe_failed() or 'closed' end
if result == 'refused' then
  pause_as('refused', now, tonumber(pauses.refused[1]))
  return 'paused'
end
if (result == 'failed' or result == 'load') and is_failing() then
  pause_as('failing', redis.call('HGET', state_key, 'failing_since'), tonumber(pauses.failing[1]))
  return 'paused'
end
return 'open'
