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
  local kept, records = redis.call('HGETALL', lead_key), {}
  for field = 1, #kept, 2 do
    local dest = string.match(kept[field], '^d:(.+)$')
    if dest then records[dest] = cjson.decode(kept[field + 1]) end
    if kept[field] == 'last' and tonumber(kept[field + 1]) > before then return false end
  end
  if redis.call('ZSCORE', base .. 'deferred', id) then return false end
  for _, record in pairs(records) do
    if is_in_use(record) then return false end
  end
  for dest, record in pairs(records) do write_off(base, lead_key, id, dest, record) end
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
