-- Included, after states, index and tally, by the scripts that delete what is kept of a person; it runs nothing by itself.

-- Takes back what is owed or dead at a destination; what was delivered or superseded stays so in the account.
local function write_off(base, lead_key, id, dest, record)
  for version = 1, #record.s do
    local letter = state(record, version)
    if letter == 'w' or letter == 'x' then move(base, dest, record, version, 'e') end
  end
  record.why = nil
  place(base, lead_key, id, dest, record, nil)
end

-- Deletes a lead and everything that leads to it.
local function forget(base, id)
  local lead_key = base .. 'lead:' .. id
  local kept = redis.call('HMGET', lead_key, 'persons', 'index', 'submissions')
  local function drop_person(hash)
    if redis.call('GET', base .. 'person:' .. hash) == id then redis.call('DEL', base .. 'person:' .. hash) end
    drop_from_index(base, hash, id)
  end
  for _, hash in ipairs(kept[1] and cjson.decode(kept[1]) or {}) do drop_person(hash) end
  for hash in string.gmatch(kept[2] or '', '[^\n]+') do drop_person(hash) end
  for receipt in string.gmatch(kept[3] or '', '(%S+)\n') do
    if redis.call('HGET', base .. 'receipts', receipt) == id then redis.call('HDEL', base .. 'receipts', receipt) end
  end
  redis.call('DEL', lead_key)
  redis.call('ZREM', base .. 'leads', id)
  redis.call('ZREM', base .. 'deferred', id)
end

-- Deletes a quarantined submission; the account moves it from quarantined to erased. False: there is none of that id.
local function drop(base, id)
  local held = redis.call('HGET', base .. 'held', id)
  if not held then return false end
  local line = cjson.decode(held)
  if redis.call('HGET', base .. 'receipts', line.receipt) == '?' .. id then
    redis.call('HDEL', base .. 'receipts', line.receipt)
  end
  for _, hash in ipairs(names_of(line)) do drop_from_index(base, hash, '?' .. id) end
  redis.call('HDEL', base .. 'held', id)
  redis.call('ZREM', base .. 'quarantine', id)
  tally(base, 'quarantined', -1, line.at)
  tally(base, 'erased', 1, line.at)
  return true
end
