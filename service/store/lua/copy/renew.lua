#!lua flags=allow-oom
-- renew: says that whoever moves the leads away from here is alive.
-- KEYS[1]  "leads:"
-- ARGV[1]  token of the move        ARGV[2] how long that holds, ms
-- result   1, or 0: the move has run out, or another one runs
-- What has run out is not brought back: somebody may have written meanwhile.

for _, name in ipairs({'moving', 'mover'}) do
  if redis.call('GET', KEYS[1] .. name) == ARGV[1] then redis.call('PEXPIRE', KEYS[1] .. name, ARGV[2]) end
end
return redis.call('GET', KEYS[1] .. 'mover') == ARGV[1] and 1 or 0
