-- Included by the scripts that limit how often something happens; it runs nothing by itself.
-- The generic cell rate algorithm: `requests` at once, then one each per / requests ms.

-- Returns how long to wait, ms, 0: not at all; and what is to be kept if this one is counted.
local function pace(kept, requests, per, now)
  local until_at = math.max(tonumber(kept or 0), now) + per / requests
  return math.max(0, math.ceil(until_at - now - per)), string.format('%.3f', until_at)
end
