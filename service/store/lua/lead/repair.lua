#!lua flags=allow-oom
-- repair: sees that each version owed stands in exactly one place per destination, and puts it there if not.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  now, ms        ARGV[2..] leads
-- result   a list of {lead, destination, what was mended}
--@include copy
--@include states

local base, now = KEYS[1], tonumber(ARGV[1])
local mended = {}

local function stands(set, dest, lead) return redis.call('ZSCORE', base .. set .. ':' .. dest, lead) ~= false end

local function mend(lead, dest, what) mended[#mended + 1] = {lead, dest, what} end

local function look(lead, lead_key, dest, record)
  local is_waiting = last(record, 'w') > 0
  local is_dead = last(record, 'x') > 0
  local in_due, in_waiting = stands('due', dest, lead), stands('waiting', dest, lead)
  if is_waiting and not (in_due and in_waiting) then mend(lead, dest, 'was owed and in no queue') end
  if not is_waiting and (in_due or in_waiting) then mend(lead, dest, 'was in a queue and not owed') end
  if is_dead and not stands('dead', dest, lead) then
    redis.call('ZADD', base .. 'dead:' .. dest, now, lead)
    mend(lead, dest, 'was dead and not listed')
  end
  if not is_dead and stands('dead', dest, lead) then mend(lead, dest, 'was listed as dead and is not') end
  place(base, lead_key, lead, dest, record, not in_due and (is_leased(record, now) and record.till or now) or nil)
end

for index = 2, #ARGV do
  local lead, lead_key = ARGV[index], base .. 'lead:' .. ARGV[index]
  for _, known in ipairs(records_of(lead_key)) do look(lead, lead_key, known[1], known[2]) end
end
return mended
