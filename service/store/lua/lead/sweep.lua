#!lua flags=allow-oom
-- sweep: removes receipts of what is no longer kept; of a person who wrote very often a lead remembers only the last.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  cursor         ARGV[2] how many to look at
-- result   {next cursor, how many were removed}
--@include copy

local base, removed = KEYS[1], 0
local found = redis.call('HSCAN', base .. 'receipts', ARGV[1], 'COUNT', ARGV[2])
for index = 1, #found[2], 2 do
  local receipt, held = found[2][index], found[2][index + 1]
  local is_kept
  if string.sub(held, 1, 1) == '?' then
    is_kept = redis.call('HEXISTS', base .. 'held', string.sub(held, 2)) == 1
  else
    -- An erased one has no `last`: it is only there until everybody was told.
    is_kept = redis.call('HEXISTS', base .. 'lead:' .. held, 'last') == 1
  end
  if not is_kept then removed = removed + redis.call('HDEL', base .. 'receipts', receipt) end
end
return {found[1], removed}
