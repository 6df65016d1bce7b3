-- What a script finds around it: the redis table, globals that it cannot change, errors with their place.
--
-- Functions that can fail are native (see script.rs), as they are in the real server: a Lua function here would show up
-- in the place of the error, and would hide its caller when a script ends in `return redis.call(…)`.
local native = ...
local place, plain, refuse = native.place, native.plain, native.refuse
local native_pcall, native_xpcall, native_tostring = pcall, xpcall, tostring
local getmetatable, rawget, select, setmetatable, type = getmetatable, rawget, select, setmetatable, type

local function not_modelled(name) refuse("'" .. name .. "' in scripts") end

local redis = {
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
  REDIS_VERSION = '7.0.15', REDIS_VERSION_NUM = 0x0007000f,
  call = native.call, pcall = native.pcall, log = native.log, sha1hex = native.sha1hex,
  error_reply = native.error_reply, status_reply = native.status_reply,
  replicate_commands = function() return true end,
}
local redis_not_modelled = { set_repl = true, acl_check_cmd = true, setresp = true, breakpoint = true, debug = true }
setmetatable(redis, { __index = function(_, name) if redis_not_modelled[name] then not_modelled('redis.' .. name) end end })

math.random, math.randomseed = native.random, native.randomseed

-- The real server gives the text of an error that is a table; of one without a text it gives the table and the field.
local function settle(ok, first, ...)
  if ok then return ok, first, ... end
  first = plain(first)
  if type(first) ~= 'table' then return false, first end
  local text = first.err
  if type(text) == 'string' or type(text) == 'number' then return false, text end
  return false, first, text
end

local function guarded_pcall(...)
  if select('#', ...) == 0 then not_modelled('pcall()') end
  return settle(native_pcall(...))
end

local function guarded_xpcall(...)
  if select('#', ...) < 2 then not_modelled('xpcall() with one argument') end
  local run, handler = ...
  return native_xpcall(run, function(problem) return handler(plain(problem)) end)
end

-- The address of a table or function differs from run to run.
local function guarded_tostring(...)
  local value = ...
  local kind = type(value)
  local address = kind == 'table' or kind == 'function' or kind == 'thread' or kind == 'userdata'
  local metatable = address and getmetatable(value)
  if select('#', ...) == 0 or address and not (metatable and rawget(metatable, '__tostring')) then
    not_modelled('tostring(' .. kind .. ')')
  end
  return native_tostring(value)
end

local globals = {
  assert = assert, error = error, getmetatable = native.getmetatable, ipairs = ipairs, next = native.next,
  pairs = native.pairs, pcall = guarded_pcall, rawequal = rawequal, rawget = native.rawget, rawset = native.rawset,
  select = select, setmetatable = native.setmetatable, tonumber = tonumber, tostring = guarded_tostring, type = type,
  unpack = unpack, xpcall = guarded_xpcall, _VERSION = _VERSION,
}

-- A script gets empty tables that stand for the protected ones; `protected` remembers what is behind them.
local protected = native.protected
local function protect(original)
  local stand_in = setmetatable({}, { __index = original, __newindex = native.read_only })
  protected[stand_in] = original
  return stand_in
end
globals.redis, globals.string, globals.table, globals.math =
  protect(redis), protect(string), protect(table), protect(math)
globals._G = protect(setmetatable(globals, { __index = native.missing }))

local function with_place(problem)
  problem = plain(problem)
  if type(problem) ~= 'table' then problem = { err = 'ERR ' .. guarded_tostring(problem) } end
  local what, source, line = place(2)
  if what == 'C' then what, source, line = place(3) end
  problem.source, problem.line = source, line
  return problem
end

return globals, with_place
