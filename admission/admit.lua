-- Admit one call into all its windows, or into none.
-- KEYS: model state, tenant state, index.  ARGV: clock, ask, model scope, tenant scope.
-- Returns {1, microseconds to wait, is a probe, '', known...} or {0, microseconds, is an outage, what is full, known...}.

local ask = cjson.decode(ARGV[2])
local MODEL, TENANT, INDEX = KEYS[1], KEYS[2], KEYS[3]
local FLIGHT, HELD, TENANT_FLIGHT = MODEL .. ':flight', MODEL .. ':held', TENANT .. ':flight'

local model = load(MODEL)
local tenant = next(ask.tenant_limits) and load(TENANT) or nil
local limits = limits_of(model, ask.limits, ask.first_concurrent)

local function register(state, scope)
  if now - (state.indexed or 0) > FORGET then
    state.indexed = now
    redis.call('ZADD', INDEX, now, scope)
    redis.call('ZREMRANGEBYSCORE', INDEX, '-inf', now - KEEP)
    redis.call('EXPIRE', INDEX, KEEP)
  end
end

-- Denied asks are sent away one behind the other, at the pace at which places free up, so that they do not come back
-- together; not far while that pace is about to change.
local function deny(state, key, what, till, pace, is_outage, spread)
  local back = till
  if state.hint and state.hint > till and state.hint < till + (spread or 30) then back = state.hint end
  state.hint = back + 1 / math.max(pace, 0.1)
  save(key, state)
  return {0, math.ceil((back - now) * 1000000), is_outage, what, report(limits, model)}
end

local function prune(flight, held)
  local over = redis.call('ZRANGEBYSCORE', flight, '-inf', string.format('%.6f', now), 'LIMIT', 0, 500)
  if #over > 0 then
    redis.call('ZREM', flight, unpack(over))
    if held then redis.call('HDEL', held, unpack(over)) end
  end
end

prune(FLIGHT, HELD)
register(model, ARGV[3])
if tenant then
  prune(TENANT_FLIGHT)
  register(tenant, ARGV[4])
end

-- Asked again after a lost reply: the answer is the same.
local taken = redis.call('HGET', HELD, ask.attempt)
if taken then
  local mine = cmsgpack.unpack(taken)
  return {1, math.max(0, math.floor((mine.start - now) * 1000000)), mine.probe and 1 or 0, '', report(limits, model)}
end

local flying = redis.call('ZCARD', FLIGHT)
local turnover = math.max((model.average or {}).seconds or 1, 0.05)
local recovered = math.max(10, math.max(limits.concurrent, model.concurrency.ceiling or 0) / turnover)  -- calls per second
local breaker, probe = model.breaker, false
if breaker and breaker.state == 'open' then
  if now < breaker.till then
    return deny(model, MODEL, 'model breaker', breaker.till, recovered, 1)
  end
  if breaker.probe and now < breaker.probe_till then
    return deny(model, MODEL, 'model breaker', math.min(breaker.probe_till, now + 1), recovered, 1)
  end
  probe = true
end

-- A probe is not held up by calls that hang at a provider that is away.
if flying >= limits.concurrent and not probe then
  local c, pace = model.concurrency, limits.concurrent / turnover
  local doubles = not c.ceiling or limits.concurrent < (c.quick or 0)
  return deny(model, MODEL, 'model concurrent', now + 1 / pace, pace, 0, doubles and 1)
end
local tenants_own = ask.tenant_limits.concurrent
if tenants_own and redis.call('ZCARD', TENANT_FLIGHT) >= tenants_own then
  local pace = tenants_own / turnover
  return deny(tenant, TENANT, 'tenant concurrent', now + 1 / math.max(pace, 1 / NEVER), pace, 0)
end

local average = model.average or {}
local output = math.min(average.output or ask.max_tokens / 4, ask.max_tokens)
local amounts = {requests = 1, input_tokens = ask.input_tokens, output_tokens = output}
local start, last = now, nil
if model.paused and model.paused > start then
  start, last = model.paused, {state = model, key = MODEL, what = 'model pause', pace = recovered}
end
local entered = {}
for _, scope in ipairs({
  {state = model, key = MODEL, name = 'model', limits = limits},
  {state = tenant, key = TENANT, name = 'tenant', limits = ask.tenant_limits},
}) do
  for name, amount in pairs(amounts) do
    local limit = scope.limits[name]
    if limit then
      local opening, pace = now + NEVER, nil
      if limit > 0 then
        pace = pace_of(limit)
        local window = window_of(scope.state, name, pace)
        opening = opens(window, pace)
        entered[#entered + 1] = {window = window, pace = pace, amount = amount}
      end
      if opening > start + 0.000001 then
        start = opening
        last = {state = scope.state, key = scope.key, what = scope.name .. ' ' .. name,
                pace = pace and pace.rate / math.max(amount, 1) or 0.1,
                learning = scope.state == model and name == 'requests'}
      end
    end
  end
end
if last and last.learning and model.learned then model.learned.busy = now end
if start - now > ask.wait_seconds then
  return deny(last.state, last.key, last.what, start, last.pace, 0, last.learning and (model.learned or {}).doubt and 5)
end

for _, entry in ipairs(entered) do take(entry.window, entry.pace, start, entry.amount) end
local expiry = start + ask.expires_seconds
redis.call('ZADD', FLIGHT, string.format('%.6f', expiry), ask.attempt)
redis.call('HSET', HELD, ask.attempt, cmsgpack.pack(
  {start = start, input_tokens = ask.input_tokens, output_tokens = output, probe = probe or nil}))
local keep = math.ceil(KEEP + ask.expires_seconds)
redis.call('EXPIRE', FLIGHT, keep)
redis.call('EXPIRE', HELD, keep)
if probe then
  breaker.probe, breaker.probe_till = ask.attempt, start + math.min(ask.expires_seconds, ask.probe_seconds)
end
average.input = average.input and average.input * 0.9 + ask.input_tokens * 0.1 or ask.input_tokens
model.average = average
save(MODEL, model)
if tenant then
  redis.call('ZADD', TENANT_FLIGHT, string.format('%.6f', expiry), ask.attempt)
  redis.call('EXPIRE', TENANT_FLIGHT, keep)
  save(TENANT, tenant)
end
return {1, math.floor((start - now) * 1000000), probe and 1 or 0, '', report(limits, model)}
