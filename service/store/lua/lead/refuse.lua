#!lua flags=allow-oom
-- refuse: adds to the account the submissions that a web process did not take since it last said so.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  id of this report    ARGV[2] how many    ARGV[3] when it was made, ms
-- ARGV[4]  how long its id is known, ms    ARGV[5] "rejected", for what they said, or "unavailable", for want of a disk
-- ARGV[6]  the day, as the desk counts days    ARGV[7] JSON: "FIELD CODE" ► how many of them were refused for it
-- result   1, or 0 if this report was counted before
--@include copy
--@include tally
--@include seen

local base, id, at = KEYS[1], ARGV[1], tonumber(ARGV[3])
if seen(base, id, at) then return 0 end
remember_seen(base, id, at, tonumber(ARGV[4]), '')
for _, name in ipairs({'received', ARGV[5]}) do tally(base, name, ARGV[2], at) end
for code, number in pairs(cjson.decode(ARGV[7])) do
  add_up(base .. 'day:' .. ARGV[6] .. ':codes', code, number, at)
end
return 1
