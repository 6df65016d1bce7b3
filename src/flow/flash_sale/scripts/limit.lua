-- limit: one more request in the window that the first of them began
-- KEYS: the counter; ARGV: the window in milliseconds. Replies with the count and the server's time in milliseconds.
local count = redis.call('INCR', KEYS[1])
if count == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
local now = redis.call('TIME')
return {count, now[1] * 1000 + math.floor(now[2] / 1000)}
