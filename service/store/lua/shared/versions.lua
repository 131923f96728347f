-- Included, after _states, by the scripts that write a version of a lead; it runs nothing by itself.

local function owe(base, now, id, version, dest)
  local lead_key = base .. 'lead:' .. id
  local kept = redis.call('HGET', lead_key, 'd:' .. dest)
  local record = kept and cjson.decode(kept) or {s = '', v = 0, n = 0}
  record.s = record.s .. string.rep('-', version - 1 - #record.s) .. 'w'
  count(base, dest, 'owed', 1)
  count(base, dest, 'waiting', 1)
  keep(lead_key, dest, record)
  place(base, lead_key, id, dest, record, is_leased(record, now) and record.till or now)
  -- A hint, and pcall: a user made by Redis's defaults may use no channel, and that must not leave a lead half written.
  redis.pcall('PUBLISH', 'leads:wake', dest)
end

-- `said` is the version: at, got, enquiries, facts. `deliver` names the destinations that are owed it.
local function write_version(base, now, id, version, said, deliver)
  local lead_key = base .. 'lead:' .. id
  redis.call('HSET', lead_key, 'version', version, 'v:' .. version, cjson.encode(said))
  if version > 1 then -- before its first version nothing was kept back
    redis.call('HDEL', lead_key, 'kept')
    redis.call('ZREM', base .. 'deferred', id)
  end
  redis.call('ZADD', base .. 'leads', now, id)
  for _, dest in ipairs(deliver) do owe(base, now, id, version, dest) end
end
