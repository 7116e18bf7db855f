-- Appends one entry to a job's stream. A late twin of the run changes nothing.
-- KEYS: the stream. ARGV: place, sealed text, run, 1 for the whole text so far, entries at most, lifetime in ms.
-- Returns 1: written; 0: the stream is not there (any more) and a piece alone says nothing, write the whole;
-- -1: a later run writes here.
local whole = ARGV[4] == '1'
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if last then
  if tonumber(string.match(last[2][2], '^%d+')) > tonumber(ARGV[3]) then
    return -1
  end
elseif not whole then
  return 0
end
redis.call('XADD', KEYS[1], 'MAXLEN', '=', whole and '1' or ARGV[5], '*', 'place', ARGV[1], 'text', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return 1
