#!lua flags=allow-oom
-- give_back: makes due now what a destination failed for a while, and gives it back the tries that this cost.
-- A lead gets them back a few times and no more: whoever fails always is to end. What was refused again since then, or
-- was given a time for itself alone, gets its tries back too, but waits as it was told to.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  destination    ARGV[2] now, ms
-- ARGV[3]  when the first attempt that failed began, ms    ARGV[4] when it was over, ms
-- ARGV[5]  how often a lead gets its tries back
-- ARGV[6]  how many to pass over    ARGV[7] how many to look at
-- result   {how many got something back, how many stay where they are, how many were looked at}
-- Looks at what is due since then, the latest first: what is placed anew is placed before, and shifts none of the rest.
-- What is due already keeps its place.
--@include copy
--@include states

local base, dest, now = KEYS[1], ARGV[1], tonumber(ARGV[2])
local from, till, most = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local due_key = base .. 'due:' .. dest

local function is_meant(at) return at ~= nil and at >= from and at <= till end

-- Takes the tries of that time off the record; says how many they were.
local function take_off(record)
  local rest, number = {}, 0
  for _, at in ipairs(record.failed or {}) do
    if is_meant(at) then number = number + 1 else rest[#rest + 1] = at end
  end
  if number == 0 or (record.back or 0) >= most then return 0 end
  record.n, record.back = math.max(0, record.n - number), (record.back or 0) + 1
  record.failed = #rest > 0 and rest or nil
  return number
end

-- Its latest try was made since then, so that how long it waits is no matter of that time.
local function was_refused_since(record)
  local failed = record.failed or {}
  return record.own or (failed[#failed] or 0) > till
end

-- Says whether something was given back, and whether it has another place now.
local function give_back(lead, record, due)
  if is_leased(record, now) then return false, false end
  local is_given = take_off(record) > 0
  if not is_given and not is_meant(record.probed) then return false, false end
  local lead_key = base .. 'lead:' .. lead
  if is_given then keep(lead_key, dest, record) end
  if due <= now or was_refused_since(record) then return is_given, false end
  place(base, lead_key, lead, dest, record, acceptance_of(lead_key, last(record, 'w')))
  return true, true
end

local given, stayed = 0, 0
local found = redis.call('ZREVRANGEBYSCORE', due_key, '+inf', from, 'WITHSCORES', 'LIMIT', ARGV[6], ARGV[7])
for index = 1, #found, 2 do
  local lead = found[index]
  local kept = redis.call('HGET', base .. 'lead:' .. lead, 'd:' .. dest)
  local is_given, has_moved = false, false
  -- Most of a long queue was never tried: that is seen without reading all of it.
  if kept and (string.find(kept, '"failed"', 1, true) or string.find(kept, '"probed"', 1, true)) then
    is_given, has_moved = give_back(lead, cjson.decode(kept), tonumber(found[index + 1]))
  end
  if is_given then given = given + 1 end
  if not has_moved then stayed = stayed + 1 end
end
return {given, stayed, #found / 2}
