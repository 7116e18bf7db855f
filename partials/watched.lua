-- Which of these jobs are watched now: 1 or 0 for each; nothing where nobody watches any job.
-- KEYS: the marks. ARGV: ids, with spaces between (one argument: each one costs its sender more than all the rest).
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local watched = {}
for id in string.gmatch(ARGV[1], '%S+') do
  local mark = redis.call('ZSCORE', KEYS[1], id)
  watched[#watched + 1] = (mark and tonumber(mark) > now) and 1 or 0
end
return watched
