-- close: no deduction is made from here on until an opening with the same number. Replies with the log.
local log, epoch, closed = KEYS[1], KEYS[2], KEYS[3]
local number = tonumber(ARGV[1])
if tonumber(redis.call('GET', closed) or 0) < number then
    redis.call('SET', closed, number)
end
redis.call('DEL', epoch)
return redis.call('HGETALL', log)
