-- open: what there is less what orders have taken, unless another closing has come in between. Replies with the stock.
local stock, log, done, epoch, closed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local number, opened, left = ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('GET', closed) ~= number then
    return {'closed again', 0}
end
redis.call('DEL', log)
for at = 4, #ARGV, 2 do
    local order, quantity = ARGV[at], tonumber(ARGV[at + 1])
    -- What was given back since it was counted is there again.
    if redis.call('HGET', done, order) ~= 'returned' then
        redis.call('HSET', log, order, quantity)
        left = left - quantity
    end
end
redis.call('SET', stock, left)
redis.call('SET', epoch, opened)
redis.call('DEL', closed)
return {'opened', left}
