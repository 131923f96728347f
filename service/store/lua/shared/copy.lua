-- Included first by every script that writes a form's keys; it runs nothing by itself, but stands between them and Redis.
-- `copy` of a form says who copies it: nobody, as a rule; "closed …": it is being restored, and takes nothing; else the
-- id of a backup, for which the set `noted` holds what was written since that began: "k KEY", all of it; "m KEY MEMBER",
-- a member alone; "e KEY", when it runs out. Keys are without their base. Both run out when nobody asks for them.

local copied_by = redis.call('GET', KEYS[1] .. 'copy')
if copied_by and string.sub(copied_by, 1, 6) == 'closed' then return redis.error_reply('CLOSED ' .. KEYS[1]) end

local redis = redis
if copied_by then
  local server, base_length, noted_key = redis, #KEYS[1], KEYS[1] .. 'noted'
  local READ = {
    GET = true, MGET = true, EXISTS = true, HGET = true, HMGET = true, HGETALL = true, HEXISTS = true, HSCAN = true, ZSCORE = true,
    ZRANGE = true, ZRANGEBYSCORE = true, ZREVRANGEBYSCORE = true, ZCOUNT = true, ZCARD = true, ZSCAN = true,
    PEXPIRETIME = true,
  }
  -- Where the members stand behind the key, and how far apart. What is not listed here or above writes all of its key.
  local MEMBERS = {
    HSET = {1, 2}, HSETNX = {1, 2}, HINCRBY = {1, 2}, HDEL = {1, 1}, ZADD = {2, 2}, ZREM = {1, 1},
  }

  local is_dated

  local function note(what, key, member)
    local name = what .. ' ' .. string.sub(key, base_length + 1) .. (member and ' ' .. member or '')
    server.call('SADD', noted_key, name)
    if not is_dated then is_dated = server.call('PEXPIRE', noted_key, 60000) end
  end

  local function note_all(command, key, ...)
    local said, where = {...}, MEMBERS[command]
    if command == 'PEXPIREAT' or command == 'PEXPIRE' then return note('e', key) end
    if not where then return note('k', key) end
    -- ZADD may have a word before its first score.
    local first = command == 'ZADD' and not tonumber(said[1]) and where[1] + 1 or where[1]
    for index = first, #said, where[2] do note('m', key, said[index]) end
  end

  local function call(command, key, ...)
    if not READ[command] then note_all(command, key, ...) end
    return server.call(command, key, ...)
  end

  redis = setmetatable({call = call}, {__index = server})
end
