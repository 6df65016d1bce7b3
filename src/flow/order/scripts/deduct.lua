-- deduct: takes an order's pieces from the stock, once. Replies with the answer and the epoch.
local stock, log, done, epoch = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local order, quantity = ARGV[1], tonumber(ARGV[2])
if redis.call('HEXISTS', done, order) == 1 then
    return {'done', 0}
end
local now = redis.call('GET', epoch)
if not now then
    return {'closed', 0}
end
if redis.call('HEXISTS', log, order) == 1 then
    return {'deducted', tonumber(now)}
end
if tonumber(redis.call('GET', stock)) < quantity then
    return {'sold-out', tonumber(now)}
end
redis.call('DECRBY', stock, quantity)
redis.call('HSET', log, order, quantity)
return {'deducted', tonumber(now)}
