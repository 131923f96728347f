-- Included by the scripts that limit how often something happens; it runs nothing by itself.
-- The generic cell rate algorithm: `requests` at once, then one each per / requests ms.

-- Returns how long to wait, ms, 0: not at all; and what is to be kept if this one is counted.
local function pace(kept, requests, per, now)
  local until_at = math.max(tonumber(kept or 0), now) + per / requests
  return math.max(0, math.ceil(until_at - now - per)), string.format('%.3f', until_at)
end

-- The longest wait that a list of limits {name, requests, per ms} asks for, ms; 0: none, and it is counted for each.
local function wait_at_limits(base, limits, now)
  local longest, kept = 0, {}
  for index, limit in ipairs(limits) do
    local key = base .. 'rate:' .. limit[1]
    local wait, until_at = pace(redis.call('GET', key), limit[2], limit[3], now)
    longest = math.max(longest, wait)
    kept[index] = {key, until_at, limit[3]}
  end
  if longest > 0 then return longest end
  for _, each in ipairs(kept) do redis.call('SET', each[1], each[2], 'PX', each[3]) end
  return 0
end
