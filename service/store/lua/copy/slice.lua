#!lua flags=allow-oom
-- slice: returns a slice of a large key, as a record.
-- KEYS[1]  base of the keys
-- ARGV[1]  tag of the base    ARGV[2] id of the backup, "": nothing is noted there    ARGV[3] the key without its base
-- ARGV[4]  cursor
-- result   {how much is noted and not taken yet, next cursor, the record}, or {-1} as of read
--@include record

local base, of, id, name = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
if id ~= '' then
  if redis.call('GET', base .. 'copy') ~= id then return {-1} end
  redis.call('PEXPIRE', base .. 'copy', 60000)
end
local noted = id ~= '' and redis.call('SCARD', base .. 'noted') or 0
local kind = type_of(base .. name)
local scan = ({hash = 'HSCAN', zset = 'ZSCAN', set = 'SSCAN'})[kind]
if not scan then return {noted, '0', spell(of, name, base .. name, kind)} end
local found = redis.call(scan, base .. name, ARGV[4], 'COUNT', FEW)
local content = kind == 'set' and found[2] or paired(found[2])
return {noted, found[1], spell(of, name, base .. name, kind, content)}
