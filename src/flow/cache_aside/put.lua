-- put: what was read from the database, unless a later version is known
local value, version = KEYS[1], KEYS[2]
if tonumber(redis.call('GET', version) or 0) > tonumber(ARGV[1]) then
    return 0
end
redis.call('SET', value, ARGV[1])
redis.call('SET', version, ARGV[1])
return 1
