#!lua flags=allow-oom
-- take_token: gives the token that is kept, or says who is to fetch one: one worker, while all others wait.
-- KEYS[1]  base of the destination's keys, "leads:{destination:NAME}:"
-- ARGV[1]  now, ms        ARGV[2] name of a token that was refused, "": none
-- ARGV[3]  name of who asks    ARGV[4] how long a fetch may take, ms
-- result   {"token", what is kept, its name} | {"fetch", what is kept or ""} | {"wait"}

local key, now = KEYS[1] .. 'token', tonumber(ARGV[1])
local kept = redis.call('HMGET', key, 'sealed', 'name', 'till', 'fetcher', 'fetched_by')
local sealed, name, till, fetcher = kept[1], kept[2], tonumber(kept[3] or 1), kept[4]

if sealed and name == ARGV[2] and till ~= 1 then
  till = 1 -- Nobody else is to be refused with it.
  redis.call('HSET', key, 'till', till)
end
if sealed and name ~= ARGV[2] and (till == 0 or till > now) then return {'token', sealed, name} end
if fetcher and fetcher ~= ARGV[3] and tonumber(kept[5]) > now then return {'wait'} end
redis.call('HSET', key, 'fetcher', ARGV[3], 'fetched_by', now + tonumber(ARGV[4]))
return {'fetch', sealed or ''}
