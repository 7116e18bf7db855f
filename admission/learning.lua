-- Second part of settling a call: calls at a time and calls per minute, learned from answers and refusals.

local NOT_THIS = 0.9     -- up to this share of the ceiling calls at a time double when they were not what had failed
local SLOW = 20          -- seconds of successes from a cut concurrency back to its ceiling
local REGROW = 30        -- seconds of successes from a shrunken request limit back to the best known one
local RECALL = 10        -- seconds without a refusal before a higher limit of the last minutes is tried again
local HOLD, HOLD_MAX = 15, 300   -- seconds at the best known request limit before more is tried
local PROBING, STRIDE = 0.002, 0.1  -- share per second by which more is tried (2 % in 10 s), and how far at first
local DOUBTED, DISPROVED = 0.1, 1     -- share per second by which a limit not believed grows, and one proven wrong
local PAUSE_MAX = 600    -- seconds; no longer retry-after is believed
local STORM_PAUSE_MAX = 16

local function cut_concurrency(is_storm)
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
  c.quick = c.ceiling * (is_storm and NOT_THIS or 0.5)
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
  if c.limit < (c.quick or 0) then
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
  learned.is_first = not best
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
  if older >= 1 / 3 then return true end
  local opens, seen = first + 60 - now, learned.seen
  local is_same = seen and answered <= 1.05 * seen.answered + 1 and answered + flying >= 0.95 * seen.answered - 1
  local is_again = is_same and now - seen.at >= 50
  if is_again or (opens > 10 and done.retry_after >= opens / 2) then
    if is_again then model.paused = math.max(model.paused or 0, first + 60) end
    learned.doubt = nil
    return true
  end
  if not is_same then learned.seen = {answered = answered, at = now} end
  return false
end

-- After seconds of traffic nobody can tell a limit from a bad spell: go on with what was answered, and grow fast as long as
-- that goes well. Each further refusal doubles the wait before that, up to 4 seconds, and shows at which pace the provider
-- really answers: of a limit that refills steadily, half a minute tells enough.
local function doubt_limit(learned, answered)
  local doubt = learned.doubt or {since = now, good = 0, refusals = 0, recent = 6 * ended(RING, now - 10)}
  local span = now - doubt.since
  doubt.refusals, doubt.answered, doubt.is_limitless = doubt.refusals + 1, answered, nil
  learned.doubt, learned.level = doubt, answered
  if span >= 3 and doubt.good >= 5 then learned.level = math.max(1, answered / 4, doubt.good / span * 60) end
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
      learned.level = math.max(1, least(learned.level, math.max(answered, (learned.best or learned.level) / 4)))
    end
  elseif learned.best or stated or is_believable(learned, answered) then
    measure_limit(learned, answered)
  else
    doubt_limit(learned, answered)
  end
  learned.cut, learned.grown, learned.good, learned.edge = now, now, 0, nil
  learned.stride, learned.recalling = STRIDE, nil
  if done.retry_after <= 0 then learned.told = nil end
  local requests = limits_of(model, done.limits, done.first_concurrent).requests
  if requests and requests > 0 then
    local pace = pace_of(requests)
    drain(window_of(model, 'requests', pace), pace, math.max(now, model.paused or 0))
  end
  if storm or not known then cut_concurrency(storm) end
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
  if held.start > doubt.since then doubt.good = doubt.good + 1 end
  doubt.is_limitless = doubt.is_limitless or ended(RING, now - 60) > 1.03 * doubt.answered + 1
  local quiet = now - math.max(learned.cut, model.paused or 0)
  if now - (learned.busy or 0) > 5 or quiet < math.min(4, 2 ^ (doubt.refusals - 1)) then return end
  if doubt.is_limitless then
    learned.level = learned.level * (1 + DISPROVED * math.min(passed, 1))
  else
    learned.level = math.max(learned.level, math.min(3 * doubt.answered, learned.level * (1 + DOUBTED * passed)))
  end
end

-- What had been let in before the refusal and was still under way counts with what was answered by then.
local function complete(learned)
  if held.start > learned.cut then return end
  local answered = ended(RING, now - 60)
  for _, known in ipairs({learned.seen or {}, learned.doubt or {}}) do
    if known.answered then known.answered = math.max(known.answered, answered) end
  end
  if learned.is_first and learned.best then learned.best = math.max(learned.best, answered) end
end

local function grow_requests()
  local learned = model.learned
  if not learned then return end
  complete(learned)
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
    learned.level, learned.best, learned.doubt = nil, nil, nil
  elseif now - (learned.busy or 0) < 5 then
    learned.edge = learned.edge or now
    if (learned.top or 0) > 1.1 * best and now - learned.edge > RECALL then
      learned.recalling = learned.recalling or best
      learned.level = math.min(learned.top, learned.level + learned.top / REGROW * passed)
      if learned.level >= learned.top then learned.best, learned.recalling = learned.top, nil end
    elseif now - learned.edge > learned.hold then
      try_more(learned, passed)
    end
  end
end
