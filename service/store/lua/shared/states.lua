-- Included by the scripts that move a version between states; it runs nothing by itself.
-- A delivery record `d:DEST` is JSON: s = one letter a version (w waiting, d delivered, x dead,
-- s superseded, e erased, - not owed here), v = version last claimed, n = tries charged to it, b = for each
-- claimed version the version delivered before it (0: none), token and till = the running lease,
-- refused = when it was last refused as if by a destination that refuses everybody, probed = when it was last
-- tried without being charged, failed = when the latest of the charged tries began that may be given back, back = how
-- often they were, own = it waits for a time of its own, whatever its destination does, again = the version last sent
-- again after it had been delivered, why = for each dead version {at, reason, excerpt}, id = the destination's own id of
-- the lead, sealed.
local NAMES = {w = 'waiting', d = 'delivered', x = 'dead', s = 'superseded', e = 'erased'}

local function count(base, dest, name, by)
  redis.call('HINCRBY', base .. 'count', dest .. ':' .. name, by)
end

local function state(record, version)
  return string.sub(record.s, version, version)
end

local function move(base, dest, record, version, to)
  local from = state(record, version)
  if from == to then return false end
  record.s = string.sub(record.s, 1, version - 1) .. to .. string.sub(record.s, version + 1)
  count(base, dest, NAMES[from], -1)
  count(base, dest, NAMES[to], 1)
  return true
end

local function last(record, letter)
  for version = #record.s, 1, -1 do
    if state(record, version) == letter then return version end
  end
  return 0
end

local function acceptance_of(lead_key, version)
  local kept = redis.call('HGET', lead_key, 'v:' .. version)
  -- Nothing that anybody says can look like this: in a text each quote has a backslash before it.
  return kept and tonumber(string.match(kept, '"at":(%d+)')) or 0
end

-- Says where the lead stands now: owed and when (no `due`: as before), or in no queue; and whether it counts among
-- the dead. What somebody holds is due at the end of the lease.
local function place(base, lead_key, lead, dest, record, due)
  local first = string.find(record.s, 'w', 1, true)
  if first then
    if due then redis.call('ZADD', base .. 'due:' .. dest, due, lead) end
    redis.call('ZADD', base .. 'waiting:' .. dest, acceptance_of(lead_key, first), lead)
  else
    redis.call('ZREM', base .. 'due:' .. dest, lead)
    redis.call('ZREM', base .. 'waiting:' .. dest, lead)
  end
  if not string.find(record.s, 'x', 1, true) then
    redis.call('ZREM', base .. 'dead:' .. dest, lead)
  end
end

local function keep(lead_key, dest, record)
  redis.call('HSET', lead_key, 'd:' .. dest, cjson.encode(record))
end

-- Puts versions that wait into another state, all of them before one.
local function move_waiting(base, dest, record, before, to)
  local first, number = string.gsub(string.sub(record.s, 1, before - 1), 'w', to)
  if number == 0 then return end
  record.s = first .. string.sub(record.s, before)
  count(base, dest, NAMES.w, -number)
  count(base, dest, NAMES[to], number)
end

-- A log that is kept with the lead, with a line more; of a long one the oldest lines go.
local function noted(log, line, most)
  log = (log or '') .. line .. '\n'
  return #log > most and string.sub(log, (string.find(log, '\n', #log - most, true)) + 1) or log
end

local function note(lead_key, name, line, most)
  redis.call('HSET', lead_key, name, noted(redis.call('HGET', lead_key, name), line, most))
end

-- What is known of a lead at each destination: a list of {destination, delivery record}.
local function records_of(lead_key)
  local records, kept = {}, redis.call('HGETALL', lead_key)
  for field = 1, #kept, 2 do
    local dest = string.match(kept[field], '^d:(.+)$')
    if dest then records[#records + 1] = {dest, cjson.decode(kept[field + 1])} end
  end
  return records
end

local function is_leased(record, now)
  return record.token ~= nil and record.till > now
end
