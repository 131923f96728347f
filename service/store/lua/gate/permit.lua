#!lua flags=allow-oom
-- permit: how many attempts one worker may start now at a destination, over all forms and workers.
-- KEYS[1]  base of the destination's keys, "leads:{destination:NAME}:"
-- ARGV[1]  now, ms        ARGV[2] how many are wanted     ARGV[3] prefix of the slots' names
-- ARGV[4]  concurrency    ARGV[5] ms between two attempts, 0: no rate    ARGV[6] how long a slot is held, ms
-- ARGV[7]  how long a probe may take, ms              ARGV[8] ms between two tries of what was never tried, in a pause
-- result   {how many, "open" | "probe" | "untried" | "wait", when to ask again ms, 0: when a slot is free or at once}
-- A pause is for what failed: "untried" is one attempt for a lead that was never tried there, and no other.
-- While `hold` is there nobody gets a slot: the leads are about to move, and what is in flight is waited for.
-- Slots granted are PREFIX:1 … PREFIX:n; they run out unless `keep` says that their holder is alive.

local base, now, wanted = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local state_key, slots_key = base .. 'state', base .. 'slots'
local kept = redis.call('HMGET', state_key, 'probe_at', 'not_before', 'limit', 'next_at', 'untried_at')
local probe_at, not_before = tonumber(kept[1] or 0), tonumber(kept[2] or 0)
local limit = math.min(tonumber(kept[3] or ARGV[4]), tonumber(ARGV[4]))
local gap = tonumber(ARGV[5])

if redis.call('EXISTS', base .. 'hold') == 1 then return {0, 'wait', now + 500} end
if not_before > now then return {0, 'wait', not_before} end
local kind = probe_at > now and 'untried' or probe_at > 0 and 'probe' or 'open'
local untried_at = tonumber(kept[5] or 0)
if kind == 'untried' and untried_at > now then return {0, 'wait', math.min(probe_at, untried_at)} end
redis.call('ZREMRANGEBYSCORE', slots_key, '-inf', now)
local free = limit - redis.call('ZCARD', slots_key)
if kind ~= 'open' then free = math.min(free, 1) end
local granted = math.max(0, math.min(wanted, free))
if granted == 0 then return {0, 'wait', 0} end

if gap > 0 then
  -- What went unused is lost, but for 50 ms of it, so that a fast rate needs no call for each attempt.
  local next_at = math.max(tonumber(kept[4] or 0), now - 50)
  if next_at > now then return {0, 'wait', math.ceil(next_at)} end
  granted = math.min(granted, math.floor((now - next_at) / gap) + 1)
  redis.call('HSET', state_key, 'next_at', tostring(next_at + granted * gap))
end
local slots = {}
for slot = 1, granted do
  slots[2 * slot - 1], slots[2 * slot] = now + tonumber(ARGV[6]), ARGV[3] .. ':' .. slot
end
redis.call('ZADD', slots_key, unpack(slots))
if kind == 'probe' then redis.call('HSET', state_key, 'probe_at', now + tonumber(ARGV[7])) end
if kind ~= 'open' then redis.call('HSET', state_key, 'untried_at', now + tonumber(ARGV[8])) end
return {granted, kind, kind == 'untried' and probe_at or 0}
