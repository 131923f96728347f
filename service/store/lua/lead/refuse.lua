#!lua flags=allow-oom
-- refuse: adds to the account the submissions that a web process refused since it last said so.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  id of this report    ARGV[2] how many    ARGV[3] when it was made, ms
-- ARGV[4]  how long its id is known, ms
-- result   1, or 0 if this report was counted before
--@include copy
--@include tally

local seen_key = KEYS[1] .. 'seen:' .. string.format('%d', math.floor(tonumber(ARGV[3]) / 86400000))
if redis.call('HSETNX', seen_key, ARGV[1], '') == 0 then return 0 end
redis.call('PEXPIREAT', seen_key, tonumber(ARGV[3]) + 86400000 + tonumber(ARGV[4]))
for _, name in ipairs({'received', 'rejected'}) do tally(KEYS[1], name, ARGV[2], tonumber(ARGV[3])) end
return 1
