#!lua
-- prove: writes, and leaves nothing behind, so that whatever would refuse an accept refuses this.
-- Without the flag allow-oom on purpose, as accept.
-- KEYS[1]  base of the key, "leads:proof:"
-- result   1
redis.call('SET', KEYS[1] .. 'written', 1)
redis.call('DEL', KEYS[1] .. 'written')
return 1
