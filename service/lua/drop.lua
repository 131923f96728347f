#!lua flags=allow-oom
-- drop: deletes a quarantined submission; the account moves it from quarantined to erased.
-- KEYS[1]  base of the form's keys, "leads:{FORM}:"
-- ARGV[1]  id of the submission
-- result   1, or 0 if nothing of that id is in quarantine

local base, id = KEYS[1], ARGV[1]
local held = redis.call('HGET', base .. 'held', id)
if not held then return 0 end
local receipt = cjson.decode(held).receipt
if redis.call('HGET', base .. 'receipts', receipt) == '?' .. id then
  redis.call('HDEL', base .. 'receipts', receipt)
end
redis.call('HDEL', base .. 'held', id)
redis.call('ZREM', base .. 'quarantine', id)
redis.call('HINCRBY', base .. 'count', 'quarantined', -1)
redis.call('HINCRBY', base .. 'count', 'erased', 1)
return 1
