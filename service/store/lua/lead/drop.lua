#!lua flags=allow-oom
-- drop: deletes a quarantined submission; the account moves it from quarantined to erased.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  id of the submission
-- result   1, or 0 if nothing of that id is in quarantine
--@include copy
--@include states
--@include index
--@include tally
--@include forget

return drop(KEYS[1], ARGV[1]) and 1 or 0
