-- Included by the scripts that must find everything of a person; it runs nothing by itself.
-- `index` is a hash: person hash ► what is held under it, lead ids and "?id" of quarantined submissions, with a blank
-- before and after each. It lives as long as what it names.

-- Returns those of the hashes under which it did not stand yet, each once.
local function add_to_index(base, hashes, member)
  if #hashes == 0 then return {} end
  local held = redis.call('HMGET', base .. 'index', unpack(hashes))
  local added, is_added, fields = {}, {}, {}
  for place, hash in ipairs(hashes) do
    local listed = held[place] or ' '
    if not is_added[hash] and not string.find(listed, ' ' .. member .. ' ', 1, true) then
      is_added[hash], added[#added + 1] = true, hash
      fields[#fields + 1], fields[#fields + 2] = hash, listed .. member .. ' '
    end
  end
  if #added > 0 then redis.call('HSET', base .. 'index', unpack(fields)) end
  return added
end

-- Says whether it stood there.
local function drop_from_index(base, hash, member)
  local held = redis.call('HGET', base .. 'index', hash)
  if not held then return false end
  local first, last_at = string.find(held, ' ' .. member .. ' ', 1, true)
  if not first then return false end
  local rest = string.sub(held, 1, first) .. string.sub(held, last_at + 1)
  if rest == ' ' then
    redis.call('HDEL', base .. 'index', hash)
  else
    redis.call('HSET', base .. 'index', hash, rest)
  end
  return true
end

-- Beside `persons`, `index` of a lead lists what finds it, so that it can be deleted. What was listed the longest ago is
-- forgotten when there is too much: by then nothing is kept that it could find.
local function list_hash(base, id, hash)
  local lead_key = base .. 'lead:' .. id
  local listed = (redis.call('HGET', lead_key, 'index') or '') .. hash .. '\n'
  while #listed > 40000 do
    local oldest, rest = string.match(listed, '^([^\n]*)\n(.*)$')
    drop_from_index(base, oldest, id)
    listed = rest
  end
  redis.call('HSET', lead_key, 'index', listed)
end

-- The hashes under which a submission can be found: its phone and email, and those of other fields.
local function names_of(line)
  local names = {}
  for kind, hash in pairs(line.persons) do
    if kind ~= 'words' then names[#names + 1] = hash end
  end
  for _, hash in ipairs(line.also or {}) do names[#names + 1] = hash end
  return names
end
