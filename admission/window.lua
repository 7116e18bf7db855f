-- What every script of admission begins with: the clock, the state of a scope, and one paced window.
--
-- A scope (a model behind a provider key, or a tenant) has one state, a MessagePack table in a string:
--   windows      requests | input_tokens | output_tokens -> {free, rate}
--   and of a model also
--   concurrency  {limit, ceiling, pace, cut, grown, good}: adaptive number of calls at a time
--   learned      {level, best, ...}: request limit learned from refusals; {doubt}: why it is not believed yet
--   stated       limits per minute that the provider's headers stated, and when
--   breaker      {state, till, wait, probe, probe_till, since}
--   average      {input, output, seconds} of a call
--   paused       nothing starts before it;   hint: where the next denied ask is sent
-- Its reservations: a sorted set <state>:flight (attempt by expiry), for a model also a hash <state>:held (attempt ->
-- what it took), and <state>:ring (calls that ended well and badly in each of the last 60 seconds).

local PACED, BURST = 0.96, 0.04  -- shares of a limit: spread evenly over the minute / free to start at once
local KEEP = 3600                -- seconds that state outlives its last use
local FORGET = 600               -- seconds after which a learned limit that nothing confirmed is forgotten
local NEVER = 60                 -- seconds that a limit of zero sends an ask away for

local now = tonumber(ARGV[1])    -- a test's clock; empty: the server's, never a worker's
if not now then
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1000000
end

local function load(key)
  local raw = redis.call('GET', key)
  return raw and cmsgpack.unpack(raw) or {}
end

local function save(key, state)
  redis.call('SET', key, cmsgpack.pack(state), 'EX', KEEP)
end

local function least(a, b)
  if not a then return b end
  if not b then return a end
  return math.min(a, b)
end

-- A window paces: `burst` calls (or tokens) may start at once, then `rate` per second, so that no 60 seconds hold more
-- than burst + 60 * rate = limit. `free` is when all that was taken so far will have been paid for at that rate.
local function pace_of(limit)
  return {rate = PACED * limit / 60, burst = math.max(1, BURST * limit)}
end

local function window_of(state, name, pace)
  state.windows = state.windows or {}
  local window = state.windows[name] or {free = 0}
  if window.rate and pace.rate > window.rate and window.free > now then
    window.free = now + (window.free - now) * window.rate / pace.rate  -- a higher limit pays old debts sooner
  end
  window.rate = pace.rate
  state.windows[name] = window
  return window
end

local function opens(window, pace)
  return window.free - pace.burst / pace.rate
end

-- An amount beyond the burst is taken as debt: large calls pass like small ones, and what follows waits for them.
local function take(window, pace, start, amount)
  window.free = math.max(window.free, start + math.min(amount, pace.burst) / pace.rate) + amount / pace.rate
end

local function give_back(state, name, amount)
  local window = state.windows and state.windows[name]
  if window and window.rate and window.rate > 0 then window.free = window.free - amount / window.rate end
end

local function drain(window, pace, till)
  window.free = math.max(window.free, till + pace.burst / pace.rate)
end

local function forget(model)
  if model.learned and now - model.learned.refused > FORGET then model.learned = nil end
  if model.stated and now - model.stated.at > FORGET then model.stated = nil end
end

-- The limits in force for a model: what is configured caps what was stated, learned and adapted.
local function limits_of(model, configured, first_concurrent)
  forget(model)
  model.concurrency = model.concurrency or {limit = configured.concurrent or first_concurrent, cut = 0, good = 0}
  local stated, learned = model.stated or {}, model.learned or {}
  return {
    requests = least(configured.requests, least(stated.requests, learned.level)),
    input_tokens = least(configured.input_tokens, stated.input_tokens),
    output_tokens = least(configured.output_tokens, stated.output_tokens),
    concurrent = least(configured.concurrent, math.max(1, math.floor(model.concurrency.limit))),
  }
end

local function in_flight(flight)
  return redis.call('ZCOUNT', flight, '(' .. string.format('%.6f', now), '+inf')
end

-- The probe ended without saying anything: another one may try.
local function release_probe(model, attempt)
  local breaker = model.breaker
  if not breaker or breaker.probe ~= attempt then return false end
  breaker.probe, breaker.probe_till = nil, nil
  return true
end

-- Calls that ended well and badly after the given second.
local function ended(ring, after)
  local good, bad = 0, 0
  for _, slot in ipairs(redis.call('HVALS', ring)) do
    local second, well, badly = string.match(slot, '^(%d+):(%d+):(%d+)$')
    if tonumber(second) > after then good, bad = good + well, bad + badly end
  end
  return good, bad
end

-- When the first of the calls that ended well within the last minute did so, and what share of them is older than half of it.
local function good_ages(ring)
  local first, good, old = now, 0, 0
  for _, slot in ipairs(redis.call('HVALS', ring)) do
    local second, well = string.match(slot, '^(%d+):(%d+):')
    second, well = tonumber(second), tonumber(well)
    if second > now - 60 and well > 0 then
      first, good = math.min(first, second), good + well
      if second <= now - 30 then old = old + well end
    end
  end
  return first, old / math.max(good, 1)
end

-- What a worker must know to go on by itself while this server is away.
local function whole(number)
  return number and math.floor(number + 0.5) or -1
end

local function report(limits, model)
  local average = model.average or {}
  return whole(limits.requests), whole(limits.input_tokens), whole(limits.output_tokens), whole(limits.concurrent),
    whole(average.output)
end
