-- Included by accept: what may serve one person only, such as the solution of a challenge; it runs nothing by itself.

-- A solution serves one person: whoever sends again, sends what they sent before, or more of it. Who has the same phone
-- is the same; the address counts where one of the two has no phone. What is added is known from then on, so that a
-- solution cannot be carried on from one to the next.
local function is_used(base, line, kept_for, is_thanked)
  if not line.once then return false end
  local key, persons = base .. 'once:' .. line.once, line.persons
  local phone, email, words = persons.phone or '', persons.email or '', persons.words or ''
  local function remember(said) redis.call('SET', key, said, 'PX', kept_for) end
  local first = redis.call('GET', key)
  if not first then
    remember(phone .. ' ' .. email .. ' ' .. words)
    return false
  end
  local first_phone, first_email, first_words = string.match(first, '^(%S*) (%S*) (%S*)$')
  local is_same
  if phone ~= '' and first_phone ~= '' then
    is_same = phone == first_phone
  elseif email ~= '' then
    is_same = email == first_email
  else
    is_same = phone == '' and words == first_words
  end
  if is_same and phone ~= '' and first_phone == '' then remember(phone .. ' ' .. email .. ' ' .. words) end
  return not is_same and not is_thanked
end
