#!lua flags=allow-oom
-- replay: makes a lead due now at one destination again, whether it died, was delivered or still waits.
-- The latest version owed there is sent; dead ones before it are superseded by it.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  destination    ARGV[2] lead            ARGV[3] now, ms
-- ARGV[4]  "dead": only if a version of it is dead; "any": also what was delivered
-- result   the version that will be sent, 0 if there is nothing to send
--@include copy
--@include states

local base, dest, lead, now = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local lead_key = base .. 'lead:' .. lead
local kept = redis.call('HGET', lead_key, 'd:' .. dest)
if not kept then return 0 end
local record = cjson.decode(kept)
if ARGV[4] == 'dead' and last(record, 'x') == 0 then return 0 end
local version = math.max(last(record, 'w'), last(record, 'x'), last(record, 'd'))
if version == 0 then return 0 end
for before = 1, version - 1 do
  if state(record, before) == 'x' then move(base, dest, record, before, 's') end
end
if state(record, version) == 'd' then record.again = version end
if move(base, dest, record, version, 'w') then
  record.n, record.refused, record.probed, record.failed, record.back, record.own = 0, nil, nil, nil, nil, nil
  if record.why then record.why[tostring(version)] = nil end
end
keep(lead_key, dest, record)
place(base, lead_key, lead, dest, record, is_leased(record, now) and record.till or now)
redis.pcall('PUBLISH', 'leads:wake', dest)
return version
