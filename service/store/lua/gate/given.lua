#!lua flags=allow-oom
-- given: says that what failed until then has been given back.
-- KEYS[1]  base of the destination's keys, "leads:{destination:NAME}:"
-- ARGV[1]  until when, ms
-- result   1, or 0: there is more to be given back by now

if redis.call('HGET', KEYS[1] .. 'state', 'back_till') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1] .. 'state', 'back_from', 'back_till')
return 1
