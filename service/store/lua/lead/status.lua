#!lua flags=allow-oom,no-writes
-- status: a form's accounts, read in one step.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV     destinations of the form; those that it ever owed something are found by their counters
-- result   {flat list of counter names and values, list of {destination, oldest waiting ms or -1, next due ms or -1}}

local counters = redis.call('HGETALL', KEYS[1] .. 'count')
local names, listed = {}, {}

local function list(dest)
  if dest and not listed[dest] then
    listed[dest] = true
    names[#names + 1] = dest
  end
end

for _, dest in ipairs(ARGV) do list(dest) end
for index = 1, #counters, 2 do list(string.match(counters[index], '^(.+):[a-z]+$')) end

local oldest = {}
for index, dest in ipairs(names) do
  local first = redis.call('ZRANGE', KEYS[1] .. 'waiting:' .. dest, 0, 0, 'WITHSCORES')
  local due = redis.call('ZRANGE', KEYS[1] .. 'due:' .. dest, 0, 0, 'WITHSCORES')
  oldest[index] = {dest, tonumber(first[2] or -1), tonumber(due[2] or -1)}
end
return {counters, oldest}
