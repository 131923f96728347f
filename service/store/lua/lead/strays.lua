#!lua flags=allow-oom
-- strays: takes out of a queue what owes its destination nothing: no lead at all, or one that it was never owed.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  destination    ARGV[2] "due" | "waiting" | "dead"
-- ARGV[3]  cursor         ARGV[4] how many to look at
-- result   {next cursor, list of what was taken out}
--@include copy

local base, dest = KEYS[1], ARGV[1]
local queue_key, strays = base .. ARGV[2] .. ':' .. dest, {}
local found = redis.call('ZSCAN', queue_key, ARGV[3], 'COUNT', ARGV[4])
for index = 1, #found[2], 2 do
  local lead = found[2][index]
  if redis.call('HEXISTS', base .. 'lead:' .. lead, 'd:' .. dest) == 0 then
    redis.call('ZREM', queue_key, lead)
    strays[#strays + 1] = lead
  end
end
return {found[1], strays}
