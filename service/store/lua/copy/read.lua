#!lua flags=allow-oom
-- read: returns what stands in some keys, as records.
-- KEYS[1]  base of the keys
-- ARGV[1]  tag of the base    ARGV[2] id of the backup, "": nothing is noted there    ARGV[3..] keys without their base
-- result   {how much is noted and not taken yet, list of records, list of keys that are too large to be read at once},
--          or {-1}: the form is no longer copied by this backup
--@include record

local base, of, id = KEYS[1], ARGV[1], ARGV[2]
if id ~= '' then
  if redis.call('GET', base .. 'copy') ~= id then return {-1} end
  redis.call('PEXPIRE', base .. 'copy', 60000)
end
local noted = id ~= '' and redis.call('SCARD', base .. 'noted') or 0
local records, large = {}, {}
for index = 3, #ARGV do
  if type_of(base .. ARGV[index]) ~= 'none' then
    local record = whole(of, base, ARGV[index])
    if record then records[#records + 1] = record else large[#large + 1] = ARGV[index] end
  end
end
return {noted, records, large}
