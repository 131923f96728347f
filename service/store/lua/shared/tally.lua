-- Included by the scripts that decide what became of a submission; it runs nothing by itself.
-- A number of the form's account is counted in the same step by the quarter of an hour in which the submission was
-- received: `day:DAY` is a hash "QUARTER:NAME" ► number, of a day of UTC since 1970, and is kept for 400 days.
local A_DAY, QUARTER = 86400000, 900000
local COUNTED_FOR = 400 * A_DAY

-- The day of UTC since 1970, as keys name it.
local function day_of(at) return string.format('%d', math.floor(at / A_DAY)) end

local function tally(base, name, by, at)
  redis.call('HINCRBY', base .. 'count', name, by)
  local key, since_midnight = base .. 'day:' .. day_of(at), at % A_DAY
  redis.call('HINCRBY', key, string.format('%d:%s', math.floor(since_midnight / QUARTER), name), by)
  redis.call('PEXPIREAT', key, at - since_midnight + A_DAY + COUNTED_FOR)
end
