#!lua flags=allow-oom
-- promote: what people said above their limit becomes one update of each, when the limit allows it.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  now, ms        ARGV[2] the form's policy, JSON, as for accept    ARGV[3] how many at most
-- result   a list of {lead, version}
--@include copy
--@include states
--@include versions
--@include rate

local base, now, policy = KEYS[1], tonumber(ARGV[1]), cjson.decode(ARGV[2])

-- `allowed`: when the limit allows it. The version is dated so and not by when we came to it: no replica is waited for
-- here, and after a failover the same bytes must be written again.
local function promote(id, allowed)
  local lead_key = base .. 'lead:' .. id
  local known = redis.call('HMGET', lead_key, 'kept', 'version', 'last', 'enquiries', 'pace')
  if not known[1] then
    redis.call('ZREM', base .. 'deferred', id)
    return nil
  end
  if policy.person then
    local wait, until_at = pace(known[5], policy.person[1], policy.person[2], now)
    if wait > 0 then
      redis.call('ZADD', base .. 'deferred', now + wait, id)
      return nil
    end
    redis.call('HSET', lead_key, 'pace', until_at)
  end
  local version, said = tonumber(known[2]) + 1, cjson.decode(known[1])
  said.at, said.got, said.enquiries = allowed, tonumber(known[3]), tonumber(known[4])
  write_version(base, now, id, version, said, policy.deliver)
  return {id, version}
end

local promoted = {}
local due = redis.call('ZRANGEBYSCORE', base .. 'deferred', '-inf', now, 'WITHSCORES', 'LIMIT', 0, tonumber(ARGV[3]))
for index = 1, #due, 2 do
  promoted[#promoted + 1] = promote(due[index], tonumber(due[index + 1]))
end
return promoted
