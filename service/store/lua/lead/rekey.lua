#!lua flags=allow-oom
-- rekey: puts a lead, or a quarantined submission, under other hashes, with the texts that say so.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  id of the lead, or "?id" of the submission
-- ARGV[2]  person hashes, JSON: as they are ► as they are to be
-- ARGV[3..] by threes: a field, the text that stands there ("": none), the text that is to stand there
-- result   1, or 0 if it is no longer as it was read: nothing was written
--@include copy
--@include index

local base, name, hashes = KEYS[1], ARGV[1], cjson.decode(ARGV[2])
local is_lead = string.sub(name, 1, 1) ~= '?'
local key = base .. (is_lead and 'lead:' .. name or 'held')

for place = 3, #ARGV, 3 do
  if (redis.call('HGET', key, ARGV[place]) or '') ~= ARGV[place + 1] then return 0 end
end
for place = 3, #ARGV, 3 do
  if ARGV[place + 1] ~= ARGV[place + 2] then redis.call('HSET', key, ARGV[place], ARGV[place + 2]) end
end

for from, to in pairs(hashes) do
  if drop_from_index(base, from, name) then add_to_index(base, {to}, name) end
  -- Who wrote again since is known by the new one already.
  if is_lead and redis.call('GET', base .. 'person:' .. from) == name then
    redis.call('SET', base .. 'person:' .. to, name, 'NX', 'PXAT', redis.call('PEXPIRETIME', base .. 'person:' .. from))
    redis.call('DEL', base .. 'person:' .. from)
  end
end
return 1
