-- How many calls of a model may start within the horizon. Changes nothing.
-- KEYS: model state.  ARGV: clock, question.  Returns {calls or -1, known...}.

local question = cjson.decode(ARGV[2])
local FLIGHT = KEYS[1] .. ':flight'
local model = load(KEYS[1])
local limits = limits_of(model, question.limits, question.first_concurrent)
local till = now + question.horizon_seconds

local breaker = model.breaker
if breaker and breaker.state == 'open' then
  local is_due = now >= breaker.till and not (breaker.probe and now < breaker.probe_till)
  return {is_due and 1 or 0, report(limits, model)}
end
local from = math.max(now, model.paused or 0)
if from > till then return {0, report(limits, model)} end

local average = model.average or {}
local flying = in_flight(FLIGHT)
local calls = math.max(0, limits.concurrent - flying)
if average.seconds then
  calls = calls + math.floor(math.min(flying, limits.concurrent) * (till - from) / math.max(average.seconds, 0.05))
end
for name, amount in pairs({requests = 1, input_tokens = average.input or false, output_tokens = average.output or false}) do
  local limit = limits[name]
  if limit and limit <= 0 then return {0, report(limits, model)} end
  if limit and amount and amount > 0 then
    local pace = pace_of(limit)
    local window = window_of(model, name, pace)
    local free = math.max(window.free, from + math.min(amount, pace.burst) / pace.rate)
    local left = (till - free) * pace.rate + pace.burst
    calls = math.min(calls, left < 0 and 0 or math.floor(left / amount + 0.000001) + 1)
  end
end
return {calls, report(limits, model)}
