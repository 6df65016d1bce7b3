-- settle: the inventory service has counted an order's pieces; a deduction that arrives later does nothing.
local log, done = KEYS[1], KEYS[2]
local order = ARGV[1]
redis.call('HSET', done, order, 'settled')
return redis.call('HDEL', log, order)
