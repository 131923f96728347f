#!lua flags=allow-oom
-- expire: deletes leads and quarantined submissions that are older than they may be kept.
-- A lead goes when nothing of it waits, nobody holds it, and its last submission and its last death are that old; what
-- was dead counts as erased.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  now, ms        ARGV[2] what is as old as this may go, ms
-- ARGV[3]  where to begin among the leads, by age   ARGV[4] how many to look at
-- result   {leads deleted, quarantined submissions deleted, leads that were looked at and stay}
--@include copy
--@include states
--@include index
--@include tally
--@include forget

local base, now, before = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local start, most = tonumber(ARGV[3]), tonumber(ARGV[4])

local function is_in_use(record)
  if string.find(record.s, 'w', 1, true) or is_leased(record, now) then return true end
  for _, why in pairs(record.why or {}) do
    if why[1] > before then return true end
  end
  return false
end

local function expire(id)
  local lead_key = base .. 'lead:' .. id
  if tonumber(redis.call('HGET', lead_key, 'last') or 0) > before then return false end
  if redis.call('ZSCORE', base .. 'deferred', id) then return false end
  local records = records_of(lead_key)
  for _, known in ipairs(records) do
    if is_in_use(known[2]) then return false end
  end
  for _, known in ipairs(records) do write_off(base, lead_key, id, known[1], known[2]) end
  forget(base, id)
  return true
end

local gone, stayed, dropped = 0, 0, 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. 'leads', '-inf', before, 'LIMIT', start, most)) do
  if expire(id) then gone = gone + 1 else stayed = stayed + 1 end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. 'quarantine', '-inf', before, 'LIMIT', 0, most)) do
  if drop(base, id) then dropped = dropped + 1 end
end
return {gone, dropped, stayed}
