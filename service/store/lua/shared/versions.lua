-- Included, after _states, by the scripts that write a version of a lead; it runs nothing by itself.

-- The delivery record of a destination that is owed this version.
local function owing(lead_key, version, dest)
  local kept = version > 1 and redis.call('HGET', lead_key, 'd:' .. dest)
  local record = kept and cjson.decode(kept) or {s = '', v = 0, n = 0}
  record.s = record.s .. string.rep('-', version - 1 - #record.s) .. 'w'
  return record
end

local function queue(base, now, id, version, dest, record, accepted)
  count(base, dest, 'owed', 1)
  count(base, dest, 'waiting', 1)
  if version == 1 then -- it stands in no queue, and only this one waits
    redis.call('ZADD', base .. 'due:' .. dest, now, id)
    redis.call('ZADD', base .. 'waiting:' .. dest, accepted, id)
  else
    place(base, base .. 'lead:' .. id, id, dest, record, is_leased(record, now) and record.till or now)
  end
  -- A hint, and pcall: a user made by Redis's defaults may use no channel, and that must not leave a lead half written.
  redis.pcall('PUBLISH', 'leads:wake', dest)
end

-- Of a lead, WHOLE versions are kept whole, and SUMMARIES before them as what they changed: who writes without end must
-- not make it grow without end. What may still be sent, or be compared with what is sent, stays whole.
local WHOLE, SUMMARIES = 10, 200

local function is_needed(record, version)
  if record.token and record.v == version then return true end
  for _, letter in ipairs({'w', 'x', 'd'}) do
    local latest = last(record, letter)
    if latest == version or (record.b or {})[tostring(latest)] == version then return true end
  end
  return false
end

-- The names of what was new in a version; in the first one all was, and it does not list them.
local function news_of(version, whole)
  if whole.news or version > 1 then return whole.news end
  local names = {}
  for name, fact in pairs(whole.facts) do
    if fact[1] ~= '' then names[#names + 1] = name end
  end
  return names[1] and names or nil -- an empty list would be written as an empty object
end

-- Puts a summary in the place of a version: its times, the names of what was new in it, a hash of what it was.
local function summarise(lead_key, version)
  local kept = redis.call('HGET', lead_key, 'v:' .. version)
  local whole = kept and cjson.decode(kept) or {}
  if not whole.facts then return end
  local summary = {at = whole.at, got = whole.got, enquiries = whole.enquiries, signals = whole.signals,
    news = news_of(version, whole), sha1 = redis.sha1hex(kept)}
  redis.call('HSET', lead_key, 'v:' .. version, cjson.encode(summary))
end

-- Summarises what is old and not needed: one version more, and those that were needed until now (`pinned`).
local function shorten(lead_key, version)
  local old, pinned, records = {version - WHOLE}, {}, {}
  for number in string.gmatch(redis.call('HGET', lead_key, 'pinned') or '', '%d+') do old[#old + 1] = tonumber(number) end
  for _, field in ipairs(redis.call('HKEYS', lead_key)) do
    local dest = string.match(field, '^d:(.+)$')
    if dest then records[dest] = cjson.decode(redis.call('HGET', lead_key, field)) end
  end
  for _, number in ipairs(old) do
    local needed = false
    for _, record in pairs(records) do needed = needed or is_needed(record, number) end
    if needed then pinned[#pinned + 1] = number else summarise(lead_key, number) end
  end
  for dest, record in pairs(records) do
    local frozen = record.b and record.b[tostring(version - WHOLE)]
    if frozen and not is_needed(record, version - WHOLE) then
      record.b[tostring(version - WHOLE)] = nil
      keep(lead_key, dest, record)
    end
  end
  redis.call('HSET', lead_key, 'pinned', table.concat(pinned, ' '))
  redis.call('HDEL', lead_key, 'v:' .. (version - WHOLE - SUMMARIES))
end

-- `said` is the version: at, got, enquiries, facts, news. `deliver` names the destinations that are owed it, `beside`
-- lists the fields of the lead that are written with it, each with its text.
local function write_version(base, now, id, version, said, deliver, beside)
  local lead_key = base .. 'lead:' .. id
  local fields, records = {'version', version, 'v:' .. version, cjson.encode(said)}, {}
  for _, text in ipairs(beside or {}) do fields[#fields + 1] = text end
  for place, dest in ipairs(deliver) do
    records[place] = owing(lead_key, version, dest)
    fields[#fields + 1], fields[#fields + 2] = 'd:' .. dest, cjson.encode(records[place])
  end
  redis.call('HSET', lead_key, unpack(fields))
  if version > 1 then -- before its first version nothing was kept back
    redis.call('HDEL', lead_key, 'kept')
    redis.call('ZREM', base .. 'deferred', id)
  end
  redis.call('ZADD', base .. 'leads', now, id)
  for place, dest in ipairs(deliver) do queue(base, now, id, version, dest, records[place], said.at) end
  if version > WHOLE then shorten(lead_key, version) end
end
