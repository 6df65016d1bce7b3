-- invalidate: what is older than this version goes, and does not come back
local value, version = KEYS[1], KEYS[2]
if tonumber(redis.call('GET', version) or 0) < tonumber(ARGV[1]) then
    redis.call('SET', version, ARGV[1])
    redis.call('DEL', value)
end
return 1
