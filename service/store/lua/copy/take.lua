#!lua flags=allow-oom
-- take: returns as records what was written to a form since it was read. If that is little, it is all of it, and in the
-- same step the copy ends: what was read and taken until then is the form as it stands at this moment.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  the form           ARGV[2] id of the backup    ARGV[3] how much is little
-- ARGV[4]  "1": end the copy if it can be
-- result   {list of records, what the form holds if the copy has ended, else ""}, or {-1} as of read
--@include record

local base, of, most = KEYS[1], ARGV[1], tonumber(ARGV[3])
if redis.call('GET', base .. 'copy') ~= ARGV[2] then return {-1} end
redis.call('PEXPIRE', base .. 'copy', 60000)
local is_last = ARGV[4] == '1' and redis.call('SCARD', base .. 'noted') <= most
local noted = redis.call('SPOP', base .. 'noted', most)

local records, parts, order = {}, {}, {}
for _, each in ipairs(noted) do
  local what, name, member = string.match(each, '^(%a) (%S+) ?(.*)$')
  if what ~= 'm' then
    parts[name] = parts[name] ~= true and what == 'e' and (parts[name] or {}) or true
  elseif parts[name] ~= true then
    parts[name] = parts[name] or {}
    table.insert(parts[name], member)
  end
  order[name] = true
end
for name in pairs(order) do
  local key = base .. name
  if parts[name] ~= true and #parts[name] == 0 and type_of(key) ~= 'string' then
    records[#records + 1] = spell(of, name, key, type_of(key), {})
  elseif parts[name] == true or #parts[name] == 0 then
    records[#records + 1] = whole(of, base, name, true)
  else
    records[#records + 1] = members(of, base, name, parts[name])
  end
end
if not is_last then return {records, ''} end
redis.call('DEL', base .. 'copy', base .. 'noted')
return {records, holdings(base)}
