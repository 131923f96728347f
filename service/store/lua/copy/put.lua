#!lua flags=allow-oom
-- put: makes keys what records say.
-- KEYS[1]  base of the keys
-- ARGV[1..] records, JSON, as shared/record.lua explains them; each is written over what the one before it has left
-- result   how many there were

local base = KEYS[1]

-- So many at once, since a command takes only so many words.
local function call(command, key, words)
  for first = 1, #words, 500 do redis.call(command, key, unpack(words, first, math.min(first + 499, #words))) end
end

local function flat(pairs_of, is_turned)
  local words = {}
  for left, right in pairs(pairs_of) do
    words[#words + 1] = is_turned and right or left
    words[#words + 1] = is_turned and left or right
  end
  return words
end

local function put(record)
  local key = record.of == '' and 'leads:' .. record.key or base .. record.key
  if record.gone == true then
    redis.call('DEL', key)
  elseif record.gone then
    call(record.scores and 'ZREM' or 'HDEL', key, record.gone)
  end
  if record.text then redis.call('SET', key, record.text) end
  if record.hash then call('HSET', key, flat(record.hash)) end
  if record.scores then call('ZADD', key, flat(record.scores, true)) end
  if record.set then call('SADD', key, record.set) end
  if record['until'] then redis.call('PEXPIREAT', key, string.format('%.0f', record['until'])) end
end

for _, text in ipairs(ARGV) do put(cjson.decode(text)) end
return #ARGV
