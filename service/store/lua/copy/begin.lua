#!lua flags=allow-oom
-- begin: from now on what is written to a form is noted for a backup.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  id of the backup
-- result   1, or 0 if another copies or restores this form

if not redis.call('SET', KEYS[1] .. 'copy', ARGV[1], 'NX', 'PX', 60000) then return 0 end
redis.call('DEL', KEYS[1] .. 'noted')
return 1
