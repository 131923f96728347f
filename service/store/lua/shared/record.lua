-- Included by the scripts that copy; it runs nothing by itself.
-- A record is JSON: of = the base's tag, key = the key without its base (without "leads:" where there is no tag: such a
-- key is a base of its own, and has no name beside it), "until" = when it runs out (ms), and what stands
-- there now: text, hash {field: value}, scores {member: score} or set [member, …]. `gone`: first everything of the key
-- goes (true), or these members do (a list).

local FEW = 200 -- so many members of a key are read at once; of more, a slice at a time

local function type_of(key) return redis.call('TYPE', key).ok end

local function size_of(kind, key)
  if kind == 'hash' then return redis.call('HLEN', key) end
  if kind == 'zset' then return redis.call('ZCARD', key) end
  return kind == 'set' and redis.call('SCARD', key) or 1
end

local function paired(list)
  local pairs_of = {}
  for index = 1, #list, 2 do pairs_of[list[index]] = list[index + 1] end
  return pairs_of
end

local NAMES = {hash = 'hash', zset = 'scores', set = 'set', string = 'text'}

local function spell(of, name, key, kind, content, gone)
  -- Where nothing stands any longer, all of it has gone.
  local record = {of = of, key = name ~= '' and name or string.sub(key, #'leads:' + 1), gone = kind == 'none' or gone}
  if NAMES[kind] then
    record[NAMES[kind]] = content
    local ends = redis.call('PEXPIRETIME', key)
    if ends > 0 then record['until'] = ends end
  end
  return cjson.encode(record)
end

-- Everything of a key, or nil: it is too large for that.
local function whole(of, base, name, gone)
  local key = base .. name
  local kind = type_of(key)
  if size_of(kind, key) > FEW and not gone then return nil end
  local content
  if kind == 'string' then content = redis.call('GET', key) end
  if kind == 'hash' then content = paired(redis.call('HGETALL', key)) end
  if kind == 'zset' then content = paired(redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')) end
  if kind == 'set' then content = redis.call('SMEMBERS', key) end
  return spell(of, name, key, kind, content, gone)
end

-- These members of a hash or a sorted set, and those of them that are not there (any longer).
local function members(of, base, name, listed)
  local key = base .. name
  local kind, content, gone = type_of(key), {}, {}
  for _, member in ipairs(listed) do
    local value
    if kind == 'hash' then value = redis.call('HGET', key, member) end
    if kind == 'zset' then value = redis.call('ZSCORE', key, member) end
    if value then content[member] = value else gone[#gone + 1] = member end
  end
  return spell(of, name, key, kind, content, #gone > 0 and gone or nil)
end

-- What a form holds, to be held against what was restored.
local function holdings(base)
  local held = {
    leads = redis.call('ZCARD', base .. 'leads'), quarantined = redis.call('HLEN', base .. 'held'),
    people = redis.call('HLEN', base .. 'index'), receipts = redis.call('HLEN', base .. 'receipts'),
  }
  local counters = redis.call('HGETALL', base .. 'count')
  for index = 1, #counters, 2 do
    held['count:' .. counters[index]] = tonumber(counters[index + 1])
    local dest = string.match(counters[index], '^(.+):owed$')
    for _, queue in ipairs(dest and {'due:', 'waiting:', 'dead:'} or {}) do
      held[queue .. dest] = redis.call('ZCARD', base .. queue .. dest)
    end
  end
  return cjson.encode(held)
end
