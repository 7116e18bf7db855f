-- Marks jobs as watched, by the server's clock, and forgets marks that ran out.
-- KEYS: the marks. ARGV: how long they hold in ms, ids.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%d', now))
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], string.format('%d', now + ARGV[1]), ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
