#!lua flags=allow-oom
-- claim: leases deliveries that are due at one destination, and freezes what each of them sends.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  destination    ARGV[2] now, ms         ARGV[3] length of the lease, ms
-- ARGV[4]  how many       ARGV[5] token of the lease
-- ARGV[6]  "oldest" | "newest" due first | "probe": one, the oldest and the newest in turn, that was not tried by a
--          probe lately | "untried": one that was never tried here, the newest
-- ARGV[7]  "1": this destination takes updates; "0": once it has a lead, later versions are superseded
-- result   a list of {lead, version, tries, first seen ms, when it was last refused ms or 0, how often it got its
--          tries back, version JSON, JSON of the version delivered before or "", the destination's id of it or ""}
--@include copy
--@include states

local base, dest, now = KEYS[1], ARGV[1], tonumber(ARGV[2])
local lease, wanted, token, order = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6]
local takes_updates = ARGV[7] == '1'
local due_key = base .. 'due:' .. dest
local FEW = 50 -- so many at either end are looked at where one is chosen

local function lead_key(id) return base .. 'lead:' .. id end

local function record_of(id)
  local kept = redis.call('HGET', lead_key(id), 'd:' .. dest)
  return kept and cjson.decode(kept) or nil
end

local function supersede(record, before) move_waiting(base, dest, record, before, 's') end

-- The version to send, with every earlier one superseded; nil if nothing is owed.
local function choose(id, record)
  local version = last(record, 'w')
  if version > 0 and not takes_updates and last(record, 'd') > 0 then
    supersede(record, #record.s + 1)
    version = 0
  end
  if version == 0 then
    keep(lead_key(id), dest, record)
    place(base, lead_key(id), id, dest, record, nil)
    return nil
  end
  supersede(record, version)
  return version
end

local function lease_to(id, record, version, has_moved)
  if record.v ~= version then record.v, record.n, record.failed, record.back = version, 0, nil, nil end
  record.b = record.b or {}
  local name = tostring(version)
  record.b[name] = record.b[name] or last(record, 'd')
  record.token, record.till = token, now + lease
  keep(lead_key(id), dest, record)
  if has_moved then
    place(base, lead_key(id), id, dest, record, record.till)
  else -- only its time is another
    redis.call('ZADD', due_key, record.till, id)
  end
  local kept = redis.call('HMGET', lead_key(id), 'first', 'v:' .. version, 'v:' .. record.b[name])
  return {id, version, record.n, tonumber(kept[1]), record.refused or 0, record.back or 0, kept[2], kept[3] or '',
    record.id or ''}
end

local function oldest(most) return redis.call('ZRANGEBYSCORE', due_key, '-inf', now, 'LIMIT', 0, most) end
local function newest(most) return redis.call('ZREVRANGEBYSCORE', due_key, now, '-inf', 'LIMIT', 0, most) end

local function least_probed()
  local old, new, best, best_at = oldest(FEW), newest(FEW), nil, nil
  for place = 1, #old do
    for _, id in ipairs({old[place], new[place]}) do
      local record = record_of(id)
      local probed_at = record and record.probed or 0
      if not best or probed_at < best_at then best, best_at = id, probed_at end
    end
  end
  return {best}
end

local function is_untried(record)
  return record.v ~= last(record, 'w') or record.n == 0 and not record.probed and not record.back
end

local function untried()
  for _, ids in ipairs({newest(FEW), oldest(FEW)}) do
    for _, id in ipairs(ids) do
      local record = record_of(id)
      if record and is_untried(record) then return {id} end
    end
  end
  return {}
end

local ORDERS = {oldest = oldest, newest = newest, probe = least_probed, untried = untried}
local claimed = {}
for _, id in ipairs(ORDERS[order](wanted)) do
  local record = record_of(id)
  if not record then
    redis.call('ZREM', due_key, id)
    redis.call('ZREM', base .. 'waiting:' .. dest, id)
  else
    local stood = record.s
    local version = choose(id, record)
    if version then claimed[#claimed + 1] = lease_to(id, record, version, record.s ~= stood) end
  end
end
return claimed
