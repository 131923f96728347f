-- Included, after tally, by the scripts that may be run twice for the same thing; it runs nothing by itself.
-- `seen:DAY` is a hash: id ► what a second run gives back. It is kept for `slack` ms after the end of the day that
-- begins at `at`.

local function seen(base, id, at) return redis.call('HGET', base .. 'seen:' .. day_of(at), id) end

local function remember_seen(base, id, at, slack, result)
  local key = base .. 'seen:' .. day_of(at)
  redis.call('HSET', key, id, result)
  redis.call('PEXPIREAT', key, at + A_DAY + slack)
end
