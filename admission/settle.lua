-- End an attempt's reservation with what really happened, and learn from it.
-- KEYS: model state, tenant state.  ARGV: clock, how it ended.  Returns {it was held, known...}.

local done = cjson.decode(ARGV[2])
local MODEL, TENANT = KEYS[1], KEYS[2]
local FLIGHT, HELD, RING = MODEL .. ':flight', MODEL .. ':held', MODEL .. ':ring'

local SLOW = 20          -- seconds of successes from a cut concurrency back to its ceiling
local REGROW = 30        -- seconds of successes from a shrunken request limit back to the best known one
local RECALL = 10        -- seconds without a refusal before a higher limit of the last minutes is tried again
local HOLD, HOLD_MAX = 15, 300   -- seconds at the best known request limit before more is tried
local PROBING, STRIDE = 0.002, 0.1  -- share per second by which more is tried (2 % in 10 s), and how far at first
local DOUBTED, DOUBTFUL = 0.1, 1     -- share per second by which a limit not believed grows / that was proven wrong
local PAUSE_MAX = 600    -- seconds; no longer retry-after is believed
local STORM_PAUSE_MAX = 16

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

-- What the headers say is taken as it is. When they say that hardly anything is left although we took less, others use
-- the same key: our part shrinks to what was answered, and grows back like any shrunken limit.
local function heed_headers()
  local seen = done.seen
  if not seen then return end
  local stated = model.stated or {}
  for _, name in ipairs({'requests', 'input_tokens', 'output_tokens'}) do
    stated[name] = seen[name] or stated[name]
    local limit, remaining = seen[name], seen[name .. '_remaining']
    if name == 'requests' and limit and remaining then stated.is_short = remaining < 0.05 * limit end
    if limit and limit > 0 and remaining and (remaining == 0 or remaining < 0.02 * limit) then
      local pace = pace_of(least(limit, limits[name]))
      if name == 'requests' then
        local learned = model.learned or {cut = 0, good = 0, storms = 0, hold = HOLD, stride = STRIDE}
        local answered = ended(RING, now - 60)
        if answered + flying < 0.9 * limit and held.start > learned.cut and now - learned.cut >= 1 then
          learned.level, learned.best = math.max(1, least(learned.level, answered)), limit
          learned.refused, learned.cut, learned.grown = now, now, now
          model.learned = learned
          drain(window_of(model, name, pace), pace, now)
        end
      else
        drain(window_of(model, name, pace), pace, now)
      end
    end
  end
  stated.at = now
  model.stated = stated
end

local function cut_concurrency()
  local c = model.concurrency
  if held.start <= c.cut or now - c.cut < 1 then return end
  local level = math.max(flying, 1)
  if not c.ceiling then
    c.ceiling = level
  elseif c.good >= c.limit and now - (c.lowered or 0) > 10 then  -- it had answered at this level: news about the provider
    c.ceiling, c.lowered = math.max(level, 0.9 * c.ceiling), now
  end
  c.limit = math.max(1, math.floor(level / 2))
  c.pace = math.max((c.ceiling - c.limit) / SLOW, 0.05)
  c.cut, c.grown, c.good = now, now, 0
end

local function grow_concurrency()
  local c = model.concurrency
  c.good = c.good + 1
  local used = flying >= c.limit / 2
  if not c.ceiling then
    if used then c.limit = c.limit + 1 end
    return
  end
  local passed = math.min(now - c.grown, SLOW)
  c.grown = now
  if c.limit < c.ceiling / 2 then
    c.limit = c.limit + 1  -- doubles with every round, as at first
  elseif c.limit < c.ceiling then
    c.limit = math.min(c.ceiling, c.limit + c.pace * passed)
  elseif used then
    c.limit = c.limit + math.max(c.pace, c.limit / SLOW) * passed
  end
end

-- Measurements within 4 % are the same one: a limit is not given up for noise, and the more often it is confirmed, the
-- rarer more is tried. The highest limit of the last minutes stays in mind, since a bad spell looks like a lower limit.
local function measure_limit(learned, answered)
  local best = learned.best
  if learned.level and learned.level > (learned.recalling or math.huge) then learned.top = learned.top / 2 end
  if best and answered >= 0.96 * best then
    learned.hold = math.min(learned.hold * 2, HOLD_MAX)
    learned.best = math.max(best, answered)
  else
    learned.hold = HOLD
    learned.best = math.max(answered, 0.8 * (best or 0))
  end
  local recent = learned.doubt and learned.doubt.recent or 0
  learned.top, learned.doubt = math.max(learned.top or 0, learned.best, recent), nil
  learned.best = (model.stated or {}).requests or learned.best
  learned.level = math.max(1, least(learned.level, answered >= 0.96 * learned.best and learned.best or answered))
end

-- A refusal shows a limit per minute when the last minute was one of steady traffic, when the provider asks for the time
-- that such a limit takes to open again, or when it came at the same number of calls as one of a minute before.
local function is_believable(learned, answered)
  local first, older = good_ages(RING)
  local opens = first + 60 - now
  if older >= 1 / 3 or (opens > 10 and done.retry_after >= opens / 2) then return true end
  local seen = learned.seen
  if seen and math.abs(answered - seen.answered) <= math.max(1, 0.05 * seen.answered) then return now - seen.at >= 50 end
  learned.seen = {answered = answered, at = now}
  return false
end

-- After seconds of traffic nobody can tell a limit from a bad spell: go on with what was answered, and grow fast as long as
-- that goes well. Each further refusal doubles the wait before that, and shows at which pace the provider really answers:
-- of a limit that refills steadily, half a minute tells enough.
local function doubt_limit(learned, answered)
  local doubt = learned.doubt or {since = now, good = 0, refusals = 0, recent = 6 * ended(RING, now - 10), answered = answered}
  local span = now - doubt.since
  doubt.refusals, doubt.is_limitless = doubt.refusals + 1, nil
  learned.doubt, learned.level = doubt, answered
  if span >= 3 then learned.level = math.max(1, doubt.good / span * 60) end
  if span >= 30 and doubt.refusals > 4 then measure_limit(learned, learned.level) end
end

-- A refusal that follows successes shows where the limit is: what was answered in the last minute. One that follows
-- none is a storm and shows nothing about the limit: wait, longer each time, and try with one call. If the provider's own
-- time to wait was kept, it was no limit either that was met before.
local function shrink_requests()
  local learned = model.learned or {cut = 0, good = 0, storms = 0, hold = HOLD, stride = STRIDE}
  local waited = learned.told and held.start >= learned.told - 0.01
  if done.retry_after > 0 then
    learned.told = now + math.min(done.retry_after, PAUSE_MAX)
    model.paused = math.max(model.paused or 0, learned.told)
  end
  model.learned = learned
  learned.refused = now
  local fruitless = learned.cut > 0 and learned.good == 0
  local is_first = fruitless and learned.storms == 0
  if held.start <= learned.cut or (now - learned.cut < 1 and not is_first) then return end
  local answered = ended(RING, now - 60)
  local storm = fruitless or answered == 0
  local stated = (model.stated or {}).requests
  local known = learned.level or stated
  if storm then
    learned.storms = learned.storms + 1
    local pause = math.min(STORM_PAUSE_MAX, 2 ^ (learned.storms - 1))
    model.paused = math.max(model.paused or 0, now + pause)
    if learned.doubt then
      if waited then learned.doubt, learned.level = nil, nil end
    elseif learned.level then
      learned.level = math.max(1, least(learned.level, math.max(answered, learned.best / 4)))
    end
  elseif learned.best or stated or is_believable(learned, answered) then
    measure_limit(learned, answered)
  else
    doubt_limit(learned, answered)
  end
  learned.cut, learned.grown, learned.good, learned.edge = now, now, 0, nil
  learned.stride, learned.recalling = STRIDE, nil
  local requests = limits_of(model, done.limits, done.first_concurrent).requests
  if requests and requests > 0 then
    local pace = pace_of(requests)
    drain(window_of(model, 'requests', pace), pace, math.max(now, model.paused or 0))
  end
  if storm or not known then cut_concurrency() end
end

-- Creep above the best known limit and wait there for a refusal or for the proof that more was answered within a minute:
-- a provider that counts a minute refuses only after one. Each proof doubles the stride, each refusal the hold.
local function try_more(learned, passed)
  local pace = PROBING * learned.stride / STRIDE
  learned.level = math.min(learned.best * (1 + learned.stride), learned.level * (1 + pace * passed))
  local answered = ended(RING, now - 60)
  if answered > learned.best * 1.03 then
    learned.best, learned.stride, learned.hold = answered, math.min(1, learned.stride * 2), HOLD
    learned.level = math.max(learned.level, answered)
  end
end

-- More than was answered before the refusal, answered in the same minute: it was no limit of calls per minute.
local function grow_in_doubt(learned, passed)
  local doubt = learned.doubt
  doubt.good = doubt.good + 1
  doubt.is_limitless = doubt.is_limitless or ended(RING, now - 60) > 1.03 * doubt.answered + 1
  if now - (learned.busy or 0) > 5 or now - math.max(learned.cut, model.paused or 0) < 2 ^ (doubt.refusals - 1) then return end
  learned.level = learned.level * (1 + (doubt.is_limitless and DOUBTFUL or DOUBTED) * math.min(passed, 1))
end

local function grow_requests()
  local learned = model.learned
  if not learned then return end
  learned.good, learned.storms = learned.good + 1, 0
  if not learned.level then return end
  local stated = (model.stated or {}).requests
  local best = stated or learned.best
  local passed = math.min(now - learned.grown, 10)
  learned.grown = now
  if learned.doubt and not stated then
    grow_in_doubt(learned, passed)
  elseif learned.level < best then
    if stated and model.stated.is_short then return end
    learned.level = math.min(best, learned.level + best / REGROW * passed)
  elseif stated then
    learned.level, learned.best = nil, nil
  elseif now - (learned.busy or 0) < 5 then
    learned.edge = learned.edge or now
    if learned.top > 1.1 * best and now - learned.edge > RECALL then
      learned.recalling = learned.recalling or best
      learned.level = math.min(learned.top, learned.level + learned.top / REGROW * passed)
      if learned.level >= learned.top then learned.best, learned.recalling = learned.top, nil end
    elseif now - learned.edge > learned.hold then
      try_more(learned, passed)
    end
  end
end

local function open_breaker(wait)
  model.breaker = {state = 'open', wait = wait, till = now + wait, since = (model.breaker or {}).since or now}
end

local function judge_breaker(failed)
  local breaker = model.breaker
  if breaker and breaker.state == 'open' then
    local is_probe = breaker.probe == done.attempt
    if held.probe and not failed then
      model.breaker = {state = 'closed', since = now}
      model.concurrency.grown = now
    elseif is_probe then
      open_breaker(math.min(breaker.wait * 2, done.breaker_open_max_seconds))
    end
    return
  end
  model.failed_in_a_row = failed and (model.failed_in_a_row or 0) + 1 or nil
  if not failed then return end
  local good, bad = ended(RING, math.max(now - 10, breaker and breaker.since or 0))
  local most_failed = bad >= done.breaker_failures and bad >= done.breaker_share * (good + bad)
  if most_failed or model.failed_in_a_row >= 2 * done.breaker_failures then
    model.breaker, model.failed_in_a_row = nil, nil
    open_breaker(done.breaker_open_seconds)
  end
end

correct_tokens()
if done.kind ~= 'not_made' then heed_headers() end
if done.kind == 'answered' then
  note(true)
  learn_averages()
  grow_requests()
  grow_concurrency()
  judge_breaker(false)
elseif done.kind == 'limited' then
  shrink_requests()
  judge_breaker(false)
elseif done.kind == 'overloaded' then
  note(false)
  cut_concurrency()
  judge_breaker(true)
elseif done.kind == 'broken' then
  note(false)
  judge_breaker(true)
else
  if done.kind == 'not_made' then
    give_back(model, 'requests', 1)
    if next(done.tenant_limits) then
      local tenant = load(TENANT)
      give_back(tenant, 'requests', 1)
      save(TENANT, tenant)
    end
  end
  release_probe(model, done.attempt)
end
save(MODEL, model)
return {1, report(limits_of(model, done.limits, done.first_concurrent), model)}
