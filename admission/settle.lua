-- End an attempt's reservation with what really happened, and learn from it.
-- KEYS: model state, tenant state.  ARGV: clock, how it ended.  Returns {it was held, known...}.
-- Preceded by ``ended.lua`` and ``learning.lua``.

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
    if name == 'requests' and limit and limit > 0 and not (model.stated or {}).requests then
      -- The first answer tells of the limit; the calls sent until then count against it too.
      local pace = pace_of(least(limit, limits[name]))
      local window = window_of(model, name, pace)
      window.free = math.max(window.free, now + (ended(RING, now - 60) + flying) / pace.rate)
    end
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

local function open_breaker(wait)
  model.breaker = {state = 'open', wait = wait, till = now + wait, since = (model.breaker or {}).since or now}
end

local function judge_breaker(failed)
  local breaker = model.breaker
  if breaker and breaker.state == 'open' then
    local is_probe = breaker.probe == done.attempt
    if held.probe and not failed then
      model.breaker = {state = 'closed', since = now}
      local c = model.concurrency
      c.grown, c.quick = now, c.ceiling and c.ceiling * NOT_THIS
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
