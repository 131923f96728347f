#!lua flags=allow-oom
-- beat: notes that a worker is alive; also on a full server, which still delivers.
-- KEYS[1]  the hash of what workers say of themselves, "leads:workers"
-- ARGV[1]  id of the worker    ARGV[2] what it says, JSON
-- result   1
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
