#!lua flags=allow-oom
-- rekey_day: counts under other hashes what was counted of a day, as shared/tally.lua explains it.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  the key, without its base
-- ARGV[2..] by fours: a hash, what "=HASH" holds ("": nothing), the hash that it is to be, what "=HASH" is to hold
-- result   how many were moved; what is no longer as it was read stays
--@include copy

local key, moved = KEYS[1] .. ARGV[1], 0

local function move(from, label, to, new_label)
  local number = redis.call('HGET', key, from)
  if not number or (redis.call('HGET', key, '=' .. from) or '') ~= label then return 0 end
  if label == '' then
    redis.call('HDEL', key, from)
    redis.call('HINCRBY', key, to, number)
  elseif from == to then
    redis.call('HSET', key, '=' .. to, new_label)
  else
    redis.call('HDEL', key, from, '=' .. from)
    redis.call('HINCRBY', key, to, number)
    if redis.call('HSETNX', key, '=' .. to, new_label) == 0 then redis.call('HINCRBY', key, '#', -1) end
  end
  return 1
end

for place = 2, #ARGV, 4 do moved = moved + move(ARGV[place], ARGV[place + 1], ARGV[place + 2], ARGV[place + 3]) end
return moved
