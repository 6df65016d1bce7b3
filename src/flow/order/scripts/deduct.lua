-- deduct: takes an order's pieces from the stock, once, if the SKU is open under this epoch
local stock, log, done, epoch = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local order, quantity, expected = ARGV[1], tonumber(ARGV[2]), ARGV[3]
if redis.call('HEXISTS', done, order) == 1 then
    return 'done'
end
-- A script that was sent before the SKU was closed and arrives after it was opened again must do nothing.
if redis.call('GET', epoch) ~= expected then
    return 'closed'
end
if redis.call('HEXISTS', log, order) == 1 then
    -- A write again: WAIT counts what its own connection wrote.
    redis.call('HSET', log, order, quantity)
    return 'deducted'
end
if tonumber(redis.call('GET', stock)) < quantity then
    return 'sold-out'
end
redis.call('DECRBY', stock, quantity)
redis.call('HSET', log, order, quantity)
return 'deducted'
