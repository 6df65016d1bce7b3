-- limit: one more request in the window that the first of them began
-- KEYS: the counter; ARGV: the window in milliseconds
local count = redis.call('INCR', KEYS[1])
if count == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return count
