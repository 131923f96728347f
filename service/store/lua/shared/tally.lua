-- Included by the scripts that count what became of submissions; it runs nothing by itself.
-- A number of the form's account is counted in the same step by the quarter of an hour in which the submission was
-- received: `day:DAY` is a hash "QUARTER:NAME" ► number, of a day of UTC since 1970; in `days`, a hash, the number of
-- that DAY grows whenever it changes, so that nobody need read it again who knows it.
-- Beside it, by days of the desk's time zone, since 1970 too:
-- `day:DAY:campaigns`  hash, see tally_named: leads of that day; "-" is how many came by no campaign
-- `day:DAY:choices`    hash: hash of a choice ► how many leads made it
-- `day:DAY:codes`      hash: "FIELD CODE" ► how many submissions were refused for it; FIELD is "" for the whole
-- `day:DAY:names`      hash: "*" ► how many submissions were looked at, ".FIELD" ► how many of them had that field, and
--                      under which names fields came, see tally_named
-- `day:DAY:took`       hash: quarter of an octave of ms ► how many deliveries took so long
-- All are kept for 400 days, and none of them grows with what strangers send.
local A_DAY, QUARTER = 86400000, 900000
local COUNTED_FOR = 400 * A_DAY
local MOST_NAMED = 200

-- The day of UTC since 1970, as keys name it.
local function day_of(at) return string.format('%d', math.floor(at / A_DAY)) end

-- What is new is as much as was added: only then may the key be new, too.
local function add_up(key, name, by, at)
  local number = redis.call('HINCRBY', key, name, by)
  if number == tonumber(by) then redis.call('PEXPIREAT', key, at - at % A_DAY + A_DAY + COUNTED_FOR) end
  return number
end

local function tally(base, name, by, at)
  redis.call('HINCRBY', base .. 'count', name, by)
  local day = day_of(at)
  add_up(base .. 'day:' .. day, string.format('%d:%s', math.floor(at % A_DAY / QUARTER), name), by, at)
  -- What is received is counted once more in the same step, by what became of it.
  if name ~= 'received' and redis.call('HINCRBY', base .. 'days', day, 1) == 1 then
    redis.call('HDEL', base .. 'days', day_of(at - COUNTED_FOR - A_DAY))
  end
end

-- Counts what strangers name. The first MOST_NAMED of a day are counted each under its hash, and "=HASH" says since when
-- (ms) and what it is called; all others are counted together under "+". "#" is how many have a hash.
local function tally_named(key, hash, label, by, at)
  if add_up(key, hash, by, at) ~= tonumber(by) then return end
  if redis.call('HINCRBY', key, '#', 1) <= MOST_NAMED then
    redis.call('HSET', key, '=' .. hash, string.format('%d %s', at, label))
  else
    redis.call('HDEL', key, hash)
    redis.call('HINCRBY', key, '#', -1)
    redis.call('HINCRBY', key, '+', by)
  end
end

-- Counts what a new lead or an update says of its campaign and its choices.
local function tally_lead(base, line)
  local key = base .. 'day:' .. (line.day or day_of(line.at))
  if line.campaign then
    tally_named(key .. ':campaigns', line.campaign[1], line.campaign[2], 1, line.at)
  else
    add_up(key .. ':campaigns', '-', 1, line.at)
  end
  for _, choice in ipairs(line.choices or {}) do add_up(key .. ':choices', choice, 1, line.at) end
end
