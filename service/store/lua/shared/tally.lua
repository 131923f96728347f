-- Included by the scripts that decide what became of a submission; it runs nothing by itself.
-- A number of the form's account is counted in the same step by the quarter of an hour in which the submission was
-- received: `day:DAY` is a hash "QUARTER:NAME" ► number, of a day of UTC since 1970, and is kept for 400 days.
local QUARTER, A_DAY, COUNTED_FOR = 900000, 86400000, 400 * 86400000

local function tally(base, name, by, at)
  redis.call('HINCRBY', base .. 'count', name, by)
  local day = math.floor(at / A_DAY)
  local key = base .. 'day:' .. string.format('%d', day)
  redis.call('HINCRBY', key, string.format('%d:%s', math.floor((at - day * A_DAY) / QUARTER), name), by)
  redis.call('PEXPIREAT', key, (day + 1) * A_DAY + COUNTED_FOR)
end
