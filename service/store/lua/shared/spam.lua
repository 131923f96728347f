-- Included, after tally, by accept: what only all submissions together show of spam, and when it is too much; it runs nothing by itself.
local MANY = 5

-- Of a text its newest senders are kept, as many as decide; who they are cannot be read from it.
local function look_for_same_text(base, line, now, signals)
  local text, weight = line.same_text[1], line.same_text[2]
  local sent_key = base .. 'text:' .. text
  local who = redis.sha1hex(text .. (line.persons.phone or line.persons.email or line.persons.words))
  redis.call('ZADD', sent_key, 'GT', line.at, who)
  if redis.call('ZCOUNT', sent_key, line.at - A_DAY, line.at + A_DAY) >= MANY then signals.same_text = weight end
  redis.call('ZREMRANGEBYRANK', sent_key, 0, -MANY - 1)
  redis.call('PEXPIREAT', sent_key, now + A_DAY)
end

-- What the signals weigh if that is too much. A stale token alone never is: an old tab has one.
local function excess(line, signals)
  local score, has_other = 0, false
  for name, weight in pairs(signals) do
    score = score + weight
    has_other = has_other or name ~= 'stale_token'
  end
  return line.spam_limit and has_other and score > line.spam_limit and score or nil
end
