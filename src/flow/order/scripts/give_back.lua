-- give back: returns an order's pieces, once; a deduction that arrives later does nothing. Replies with the pieces.
local stock, log, done = KEYS[1], KEYS[2], KEYS[3]
local order = ARGV[1]
redis.call('HSET', done, order, 'returned')
local quantity = redis.call('HGET', log, order)
if not quantity then
    return 0
end
redis.call('HDEL', log, order)
redis.call('INCRBY', stock, quantity)
return tonumber(quantity)
