-- apply: counts calls, each once, whoever brings it and however often. The last argument but the calls says whether these are all.
local ranking, calls = KEYS[1], KEYS[2]
local expires_at_ms, complete = ARGV[1], ARGV[2]
for at = 3, #ARGV, 2 do
    local call, consultant = ARGV[at], ARGV[at + 1]
    if redis.call('HSETNX', calls, call, consultant) == 1 then
        redis.call('ZINCRBY', ranking, 1, consultant)
    end
end
if complete == '1' then
    redis.call('HSET', calls, 'complete', 1)
end
redis.call('PEXPIREAT', ranking, expires_at_ms)
redis.call('PEXPIREAT', calls, expires_at_ms)
return redis.call('HLEN', calls)
