#!lua flags=allow-oom
-- arrive: counts under which names the fields of a form came since a web process last said so.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  id of this report    ARGV[2] when it was made, ms    ARGV[3] how long its id is known, ms
-- ARGV[4]  the day, as the desk counts days
-- ARGV[5]  JSON: looked = how many submissions, fields = name of each configured field ► how many of them had it,
--          names = a list of {hash, label, how many}
-- result   1, or 0 if this report was counted before
--@include copy
--@include tally
--@include seen

local base, id, at, said = KEYS[1], ARGV[1], tonumber(ARGV[2]), cjson.decode(ARGV[5])
if seen(base, id, at) then return 0 end
remember_seen(base, id, at, tonumber(ARGV[3]), '')

local key, fields_key = base .. 'day:' .. ARGV[4] .. ':names', base .. 'fields'
if said.looked > 0 then add_up(key, '*', said.looked, at) end
for name, number in pairs(said.fields) do
  if number > 0 then
    add_up(key, '.' .. name, number, at)
    redis.call('HSET', fields_key, 'at ' .. name, ARGV[2], 'since ' .. name, 0)
  elseif redis.call('HEXISTS', fields_key, 'at ' .. name) == 1 then
    redis.call('HINCRBY', fields_key, 'since ' .. name, said.looked)
  end
end
for _, named in ipairs(said.names) do tally_named(key, named[1], named[2], named[3], at) end
return 1
