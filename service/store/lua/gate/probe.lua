#!lua flags=allow-oom
-- probe: lets the next probe of a paused destination start now.
-- KEYS[1]  base of the destination's keys, "leads:{destination:NAME}:"
-- ARGV[1]  now, ms
-- result   1 if it is paused, else 0

local paused = redis.call('HEXISTS', KEYS[1] .. 'state', 'paused')
if paused == 1 then redis.call('HSET', KEYS[1] .. 'state', 'probe_at', ARGV[1]) end
return paused
