#!lua flags=allow-oom
-- close: a form takes nothing any more but a restore.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  id of the file that is restored
-- result   1, or 0 if the form has kept something already that is not of this file

local mine = 'closed ' .. ARGV[1]
local copied_by = redis.call('GET', KEYS[1] .. 'copy')
if copied_by == mine then return 1 end
if copied_by or redis.call('EXISTS', KEYS[1] .. 'count') == 1 then return 0 end
redis.call('SET', KEYS[1] .. 'copy', mine)
return 1
