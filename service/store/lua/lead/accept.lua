#!lua
-- accept: takes one submission whole: idempotency, person, lead, counters, one delivery a destination.
-- Without the flag allow-oom on purpose: a full server refuses it before its first write.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  the submission, JSON as `records.Line`; to release a quarantined one, its id
-- ARGV[2]  the form's policy, JSON: window, quiet, idempotency, slack (ms), repeat, deliver, person {requests, per ms}
-- ARGV[3]  now, ms        ARGV[4] "release" | "thanked" (from the spool: no solution is asked for twice) | ""
-- ARGV[5]  limits of whoever sent it, JSON: a list of {name, requests, per ms}
-- result   {"created" | "updated" | "repeated" | "quarantined" | "erased", lead id or "", version, receipt};
--          {"used", ...} if its challenge was solved for somebody else's submission: nothing was written;
--          {"limited", "", ms to wait} if a limit is reached: nothing is kept of it;
--          {"unknown"} if nothing of that id is in quarantine to be released
-- A second run with the same submission id changes nothing and gives the first result.
-- Decides what is spam: signals weigh more than the line's limit together. One that only all submissions show is found
-- here: a long text that many persons sent within a day.
--@include copy
--@include states
--@include versions
--@include index
--@include earlier
--@include rate
--@include tally
--@include seen
--@include spam
--@include once

local MOST_FACTS = 200

local base = KEYS[1]
local is_release = ARGV[4] == 'release'
local held = is_release and redis.call('HGET', base .. 'held', ARGV[1])
if is_release and not held then return {'unknown'} end
local line = cjson.decode(held or ARGV[1])
if is_release then line.id, line.quarantine = line.id .. ':released', nil end
local policy = cjson.decode(ARGV[2])
local now = tonumber(ARGV[3])
local at = line.at
local signals = line.signals or {} -- name ► weight; a released one has those it was held with

local function lead_key(id) return base .. 'lead:' .. id end

-- The order of decisions; what each of them does stands below.
local find_lead, was_erased, answered_by_key, finish, hold, repeat_of, answer_again, create

local function decide()
  local first = seen(base, line.id, at)
  if first then
    local result, lead, version = unpack(cjson.decode(first))
    return {result, lead, version, line.receipt}
  end
  if was_erased() then return finish('erased', '', 0) end
  local wait = wait_at_limits(base, cjson.decode(ARGV[5]), now)
  if wait > 0 then return {'limited', '', wait} end
  if not is_release and is_used(base, line, policy.once, ARGV[4] == 'thanked') then
    return {'used', '', 0, line.receipt}
  end
  if line.same_text and not is_release then look_for_same_text(base, line, now, signals) end
  local score = not is_release and excess(line, signals) or nil
  if line.quarantine then return hold(score) end
  local answered = answered_by_key()
  if answered then return repeat_of(answered) end
  if score then return hold(score) end
  local known = find_lead()
  if known then return answer_again(known) end
  return create()
end

function finish(result, lead, version)
  tally(base, is_release and 'quarantined' or 'received', is_release and -1 or 1, at)
  tally(base, result, 1, at)
  if result == 'created' or result == 'updated' then tally_lead(base, line) end
  if is_release then
    redis.call('HDEL', base .. 'held', ARGV[1])
    redis.call('ZREM', base .. 'quarantine', ARGV[1])
    for _, hash in ipairs(names_of(line)) do drop_from_index(base, hash, '?' .. ARGV[1]) end
  end
  -- With an idempotency key a receipt comes again: a quarantined one must not hide the lead it stands for.
  if result == 'quarantined' then
    redis.call('HSETNX', base .. 'receipts', line.receipt, '?' .. line.id)
  elseif lead ~= '' then
    redis.call('HSET', base .. 'receipts', line.receipt, lead)
  end
  remember_seen(base, line.id, at, policy.slack, cjson.encode({result, lead, version}))
  return {result, lead, version, line.receipt}
end

local function submission(result, version) return string.format('%d %s %d %s', at, result, version, line.receipt) end

local function note_submission(id, result, version)
  note(lead_key(id), 'submissions', submission(result, version), 8000)
end

local function is_living(id)
  local last_at = redis.call('HGET', lead_key(id), 'last')
  return last_at and at - tonumber(last_at) < policy.window
end

local owners = {} -- name ► who was found, or false: nobody is another before `remember_person` writes down who this is

local function look_up(name)
  for _, said in ipairs(under_each_secret(line)) do
    local hash = said.persons[name]
    local id = hash and redis.call('GET', base .. 'person:' .. hash)
    if id and is_living(id) then return id end
  end
  return false
end

local function find_by(name)
  if owners[name] == nil then owners[name] = look_up(name) end
  return owners[name]
end

function find_lead()
  if not line.persons.phone then return find_by('email') or find_by('words') end
  local by_phone = find_by('phone')
  if by_phone then return by_phone end
  local by_email = find_by('email')
  if by_email and redis.call('HEXISTS', lead_key(by_email), 'phone') == 0 then return by_email end
  return nil
end

-- `new` lists the fields of a lead that is about to be written; what is to be known of it is added there.
local function remember_person(id, new)
  local known = new and {at} or redis.call('HMGET', lead_key(id), 'last', 'persons')
  local fields = new or {}
  local until_at, kept = tonumber(known[1]) + policy.window + policy.slack, known[2]
  local hashes = kept and cjson.decode(kept) or {}
  local have, is_set = {}, {}
  for _, hash in ipairs(hashes) do have[hash] = true end
  for name, hash in pairs(line.persons) do
    local owner = find_by(name)
    if not owner or owner == id then
      redis.call('SET', base .. 'person:' .. hash, id, 'PXAT', until_at)
      is_set[hash] = true
      if not have[hash] then hashes[#hashes + 1] = hash end
      if name == 'phone' then fields[#fields + 1], fields[#fields + 2] = 'phone', 1 end
    end
  end
  while #hashes > 16 do list_hash(base, id, table.remove(hashes, 1)) end
  for _, hash in ipairs(hashes) do
    if not is_set[hash] and redis.call('GET', base .. 'person:' .. hash) == id then
      redis.call('PEXPIREAT', base .. 'person:' .. hash, until_at)
    end
  end
  local listing = cjson.encode(hashes)
  if listing ~= kept then fields[#fields + 1], fields[#fields + 2] = 'persons', listing end
  if not new and #fields > 0 then redis.call('HSET', lead_key(id), unpack(fields)) end
  -- What finds the lead must be known when it is deleted: by `persons`, and what is not there by `index`.
  local listed = {}
  for _, hash in ipairs(hashes) do listed[hash] = true end
  for _, hash in ipairs(add_to_index(base, names_of(line), id)) do
    if not listed[hash] then list_hash(base, id, hash) end
  end
end

-- A lead says MOST_FACTS things at most. Of more, the extras that were said the longest ago go: a form has few fields.
local function forget_oldest(facts)
  local extras, number = {}, 0
  for name in pairs(facts) do
    number = number + 1
    if string.sub(name, 1, 6) == 'extra.' then extras[#extras + 1] = name end
  end
  if number <= MOST_FACTS then return end
  table.sort(extras, function(one, other)
    if facts[one][3] ~= facts[other][3] then return facts[one][3] < facts[other][3] end
    return one < other
  end)
  for place = 1, math.min(number - MOST_FACTS, #extras) do facts[extras[place]] = nil end
end

-- Lays what this submission says over what is known; returns the names of what is new.
-- A fact is {fingerprint, value, time last said}; no fingerprint: never news.
local function merge(facts)
  local news = {}
  adopt(line, facts)
  for name, fact in pairs(line.facts) do
    local known = facts[name]
    if not known or at >= known[3] then
      local is_same = known and known[1] == fact[1] and fact[1] ~= ''
      if not is_same and fact[1] ~= '' then news[#news + 1] = name end
      facts[name] = {fact[1], is_same and known[2] or fact[2], at}
    end
  end
  forget_oldest(facts)
  return news
end

-- A spooled line was accepted when it was put there: decided again after a failover, it must give the same bytes.
local accepted_at = is_release and now or at

-- An empty list would be written as an empty object.
local function any_of(names) return names[1] and names or nil end

local function all_of(names, more)
  local known, all = {}, {}
  for _, list in ipairs({names, more}) do
    for _, name in ipairs(list) do
      if not known[name] then all[#all + 1], known[name] = name, true end
    end
  end
  return all
end

local function say_next(id, version, facts, news, enquiries, beside)
  local told = next(signals) and signals or nil
  local said = {at = accepted_at, got = at, enquiries = enquiries, facts = facts, news = any_of(news), signals = told}
  write_version(base, now, id, version, said, policy.deliver, beside)
end

local function touch(id)
  local last_at = tonumber(redis.call('HGET', lead_key(id), 'last') or at)
  redis.call('HSET', lead_key(id), 'last', math.max(last_at, at))
end

local function remember_key(id)
  if line.key then
    redis.call('SET', base .. 'idem:' .. line.key, string.format('%d %s', at, id),
      'PXAT', at + policy.idempotency)
  end
end

function repeat_of(id)
  touch(id)
  remember_person(id)
  local version = tonumber(redis.call('HGET', lead_key(id), 'version'))
  note_submission(id, 'repeated', version)
  return finish('repeated', id, version)
end

-- How long this person's next version must wait, ms; 0: it may be written, and is counted.
local function wait_for(id)
  if not policy.person then return 0 end
  local kept = redis.call('HGET', lead_key(id), 'pace')
  local wait, until_at = pace(kept, policy.person[1], policy.person[2], now)
  if wait == 0 then redis.call('HSET', lead_key(id), 'pace', until_at) end
  return wait
end

-- The lead that the idempotency key of this submission was answered with, or nil.
function answered_by_key()
  for _, said in ipairs(under_each_secret(line)) do
    local answered = said.key and redis.call('GET', base .. 'idem:' .. said.key)
    local first_at, id = string.match(answered or '', '^(%d+) (.+)$')
    local is_recent = id and at - tonumber(first_at) < policy.idempotency
    if is_recent and redis.call('HEXISTS', lead_key(id), 'last') == 1 then return id end
  end
  return nil
end

function create()
  local id = line.lead
  local facts = {}
  merge(facts)
  local fields = {'first', at, 'last', at, 'enquiries', 1, 'submissions', submission('created', 1) .. '\n'}
  remember_person(id, fields)
  say_next(id, 1, facts, {}, 1, fields) -- all of it is news
  wait_for(id)
  remember_key(id)
  return finish('created', id, 1)
end

function answer_again(id)
  local known = redis.call('HMGET', lead_key(id), 'version', 'kept', 'last', 'enquiries')
  local version = tonumber(known[1])
  local known_so_far = cjson.decode(known[2] or redis.call('HGET', lead_key(id), 'v:' .. version))
  local facts, unsent = known_so_far.facts, known[2] and known_so_far.news or {}
  local news = merge(facts)
  local is_echo = #news == 0 and at - tonumber(known[3]) < policy.quiet
  local enquiries = tonumber(known[4]) + (is_echo and 0 or 1)
  redis.call('HSET', lead_key(id), 'enquiries', enquiries)
  news = all_of(unsent, news)
  local is_held_back = is_echo or policy['repeat'] == 'drop'
  local wait = is_held_back and 0 or wait_for(id)
  if wait > 0 then redis.call('ZADD', base .. 'deferred', now + wait, id) end
  if is_held_back or wait > 0 then
    -- Also an echo is kept: a late line must not overwrite what was said again since.
    local told = next(signals) and signals or nil
    redis.call('HSET', lead_key(id), 'kept', cjson.encode({facts = facts, news = any_of(news), signals = told}))
    remember_key(id)
    return repeat_of(id)
  end
  touch(id)
  say_next(id, version + 1, facts, news, enquiries)
  remember_person(id)
  remember_key(id)
  note_submission(id, 'updated', version + 1)
  return finish('updated', id, version + 1)
end

-- A submission that was on its way when its person was erased: it is counted, and nothing of it is kept.
function was_erased()
  local keys = {}
  for _, said in ipairs(under_each_secret(line)) do
    for _, hash in ipairs(names_of(said)) do keys[#keys + 1] = base .. 'erased:' .. hash end
  end
  for _, erased_at in ipairs(#keys > 0 and redis.call('MGET', unpack(keys)) or {}) do
    if erased_at and at < tonumber(erased_at) then return true end
  end
  return false
end

function hold(score)
  line.signals, line.score = next(signals) and signals or nil, score
  redis.call('HSET', base .. 'held', line.id, cjson.encode(line))
  redis.call('ZADD', base .. 'quarantine', at, line.id)
  add_to_index(base, names_of(line), '?' .. line.id)
  return finish('quarantined', '', 0)
end

return decide()
