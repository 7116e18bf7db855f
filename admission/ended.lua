-- First of the three parts of settling a call: what is known of it, and the plain bookkeeping. ``settle.lua`` says what
-- comes in and goes out.

local done = cjson.decode(ARGV[2])
local MODEL, TENANT = KEYS[1], KEYS[2]
local FLIGHT, HELD, RING = MODEL .. ':flight', MODEL .. ':held', MODEL .. ':ring'

local model = load(MODEL)
local limits = limits_of(model, done.limits, done.first_concurrent)
redis.call('ZREM', TENANT .. ':flight', done.attempt)
local packed = redis.call('HGET', HELD, done.attempt)
if not packed then return {0, report(limits, model)} end
local held = cmsgpack.unpack(packed)
local flying = in_flight(FLIGHT)  -- this call included, while it has not expired
redis.call('HDEL', HELD, done.attempt)
redis.call('ZREM', FLIGHT, done.attempt)

local function note(well)
  local second = math.floor(now)
  local slot, good, bad = second % 60, 0, 0
  local at, was_good, was_bad = string.match(redis.call('HGET', RING, slot) or '', '^(%d+):(%d+):(%d+)$')
  if tonumber(at) == second then good, bad = was_good, was_bad end
  redis.call('HSET', RING, slot, string.format('%d:%d:%d', second, good + (well and 1 or 0), bad + (well and 0 or 1)))
  redis.call('EXPIRE', RING, 120)
end

local function correct_tokens()
  for name, actual in pairs(done.used) do
    local amount = held[name] - actual
    give_back(model, name, amount)
    if next(done.tenant_limits) then
      local tenant = load(TENANT)
      give_back(tenant, name, amount)
      save(TENANT, tenant)
    end
  end
end

local function learn_averages()
  local average = model.average or {}
  local function follow(name, value)
    if value then average[name] = average[name] and average[name] * 0.9 + value * 0.1 or value end
  end
  follow('seconds', math.max(0, now - held.start))
  follow('output', done.used.output_tokens)
  model.average = average
end
