#!lua flags=allow-oom
-- begin: from now on what is written to a form is noted for a backup, or for a move.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  id of the backup; of a move it begins with "move ": there is one at a time, so what an earlier one left is over
-- result   1, or 0 if another copies or restores this form

local function is_move(name) return string.sub(name, 1, 5) == 'move ' end

local copied_by = redis.call('GET', KEYS[1] .. 'copy')
if copied_by and not (is_move(copied_by) and is_move(ARGV[1])) then return 0 end
redis.call('SET', KEYS[1] .. 'copy', ARGV[1], 'PX', 60000)
redis.call('DEL', KEYS[1] .. 'noted')
return 1
