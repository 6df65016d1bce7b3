-- What a script finds around it: the redis table, read-only globals, errors with their place.
local native_random, native_sha1 = ...
local getinfo, setfenv, xpcall, type, tostring, error, floor = debug.getinfo, setfenv, xpcall, type, tostring, error, math.floor
local current -- calls the server, while a script runs

local function fail(text) error({ err = text }, 0) end

local function call(...)
  if select('#', ...) == 0 then fail('ERR Please specify at least one argument for this redis.call() call') end
  return current(...)
end

local redis = {
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  REDIS_VERSION = '7.0.15', REDIS_VERSION_NUM = 0x0007000f,
  pcall = call,
  log = function() end,
  sha1hex = function(text) return native_sha1(tostring(text)) end,
  replicate_commands = function() return true end,
}

function redis.call(...)
  local reply = call(...)
  if type(reply) == 'table' and reply.err then error(reply, 0) end
  return reply
end

function redis.error_reply(text)
  if type(text) ~= 'string' then return { err = 'ERR wrong number or type of arguments' } end
  return { err = text:gsub('^-', '', 1) }
end

function redis.status_reply(text)
  if type(text) ~= 'string' then return { err = 'ERR wrong number or type of arguments' } end
  return { ok = text }
end

local globals = {
  redis = redis, string = string, table = table, math = math,
  assert = assert, error = error, getmetatable = getmetatable, ipairs = ipairs, next = next, pairs = pairs,
  pcall = pcall, rawequal = rawequal, rawget = rawget, rawset = rawset, select = select, setmetatable = setmetatable,
  tonumber = tonumber, tostring = tostring, type = type, unpack = unpack, xpcall = xpcall, _VERSION = _VERSION,
}
globals._G = globals

math.random = function(low, high)
  local fraction = native_random()
  if not low then return fraction end
  if not high then low, high = 1, low end
  return floor(fraction * (high - low + 1)) + low
end
math.randomseed = nil

local not_modelled = { cjson = true, cmsgpack = true, bit = true, struct = true, loadstring = true, load = true }
local environment = setmetatable({}, {
  __index = function(_, name)
    local value = globals[name]
    if value == nil then
      if not_modelled[name] then fail("NOTMODELLED the simulated Redis does not model '" .. name .. "' in scripts") end
      error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
    end
    return value
  end,
  __newindex = function() error('Attempt to modify a readonly table', 2) end,
})

local function with_place(problem)
  if type(problem) ~= 'table' then problem = { err = 'ERR ' .. tostring(problem) } end
  local level = 2
  local place = getinfo(level, 'Sl')
  while place do
    if place.source == '@user_script' then
      problem.line = place.currentline
      break
    end
    level = level + 1
    place = getinfo(level, 'Sl')
  end
  return problem
end

-- Runs a compiled script; `server` executes one command.
return function(script, keys, args, server)
  globals.KEYS, globals.ARGV, current = keys, args, server
  setfenv(script, environment)
  local ok, result = xpcall(script, with_place)
  globals.KEYS, globals.ARGV, current = nil, nil, nil
  return ok, result
end
