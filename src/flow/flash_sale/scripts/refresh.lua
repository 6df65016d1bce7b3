-- refresh: the counters of a sale, unless newer ones are there
-- KEYS: count, sale, version; ARGV: the same
local version = redis.call('GET', KEYS[3])
if redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3]) == 3 and tonumber(version) >= tonumber(ARGV[3]) then
  return 0
end
redis.call('MSET', KEYS[1], ARGV[1], KEYS[2], ARGV[2], KEYS[3], ARGV[3])
return 1
