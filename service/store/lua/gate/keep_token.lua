#!lua flags=allow-oom
-- keep_token: writes down what a fetch came to, and lets others fetch.
-- KEYS[1]  base of the destination's keys, "leads:{destination:NAME}:"
-- ARGV[1]  name of who fetched, and of the token
-- ARGV[2]  the token, sealed, "": none came    ARGV[3] until when it is good, ms, 0: nobody knows
-- result   1; 0 if it is not the turn of who fetched any more: nothing was written

local key = KEYS[1] .. 'token'
if redis.call('HGET', key, 'fetcher') ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' then redis.call('HSET', key, 'sealed', ARGV[2], 'name', ARGV[1], 'till', ARGV[3]) end
redis.call('HDEL', key, 'fetcher', 'fetched_by')
return 1
