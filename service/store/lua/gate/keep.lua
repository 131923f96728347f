#!lua flags=allow-oom
-- keep: says that the holder of these slots is alive; one given back or run out is not held again.
-- KEYS[1]  base of the destination's keys, "leads:{destination:NAME}:"
-- ARGV[1]  until when they are held, ms    ARGV[2..] slots
-- result   how many of them are held

local held = 0
for index = 2, #ARGV do
  if redis.call('ZSCORE', KEYS[1] .. 'slots', ARGV[index]) then
    redis.call('ZADD', KEYS[1] .. 'slots', ARGV[1], ARGV[index])
    held = held + 1
  end
end
return held
