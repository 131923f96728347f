#!lua flags=allow-oom
-- erase: removes a person from a form: leads, what they owe, quarantine, receipts, and what may still be on its way.
-- A destination that may have had a lead is owed its id once more, as the last version: that it was erased.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  now, ms        ARGV[2] how long a submission may be on its way (in a spool), ms
-- ARGV[3]  destinations that understand that a lead was erased, JSON list
-- ARGV[4..] person hashes
-- result   {list of {lead, destinations that are told, destinations that may have it and cannot be told},
--          how many quarantined submissions were deleted}
--@include copy
--@include states
--@include versions
--@include index
--@include tally
--@include forget

local base, now, slack = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local understands, found, listed = {}, {}, {}
for _, dest in ipairs(cjson.decode(ARGV[3])) do understands[dest] = true end

for index = 4, #ARGV do
  redis.call('SET', base .. 'erased:' .. ARGV[index], now, 'PX', slack)
  for member in string.gmatch(redis.call('HGET', base .. 'index', ARGV[index]) or '', '%S+') do
    if not listed[member] then
      listed[member] = true
      found[#found + 1] = member
    end
  end
end

-- Whether anything of the lead was ever on its way there: an attempt that failed may have arrived.
local function may_have(record) return record.v > 0 end

local function erase(id)
  local lead_key = base .. 'lead:' .. id
  local version = tonumber(redis.call('HGET', lead_key, 'version'))
  local told, untold, records = {}, {}, records_of(lead_key)
  for _, known in ipairs(records) do write_off(base, lead_key, id, known[1], known[2]) end
  forget(base, id)
  for _, known in ipairs(records) do
    local dest, record = known[1], known[2]
    if may_have(record) and understands[dest] then
      told[#told + 1] = dest
      keep(lead_key, dest, record)
    elseif may_have(record) then
      untold[#untold + 1] = dest
    end
  end
  if #told > 0 then
    redis.call('HSET', lead_key, 'first', now, 'erased', now)
    local said = {at = now, got = now, enquiries = 0, erased = true}
    write_version(base, now, id, version + 1, said, told)
  end
  return {id, told, untold}
end

local leads, dropped = {}, 0
for _, member in ipairs(found) do
  if string.sub(member, 1, 1) == '?' then
    if drop(base, string.sub(member, 2)) then dropped = dropped + 1 end
  else
    leads[#leads + 1] = erase(member)
  end
end
return {leads, dropped}
