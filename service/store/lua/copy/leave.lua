#!lua flags=allow-oom
-- leave: the leads have left this server, if nobody was let in since they were copied.
-- KEYS[1]  "leads:"
-- ARGV[1]  token of the move        ARGV[2] the note that says where they are
-- result   1, or 0: somebody may have written meanwhile; nothing was changed
-- A second run changes nothing.

if redis.call('GET', KEYS[1] .. 'move') == ARGV[2] then return 1 end
if redis.call('GET', KEYS[1] .. 'moving') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1] .. 'move', ARGV[2])
redis.call('DEL', KEYS[1] .. 'moving')
return 1
