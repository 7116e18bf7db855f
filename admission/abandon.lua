-- End the reservations of calls whose worker is dead or gave their jobs back: frees places, and nothing else. What was
-- sent stays charged, since it may have been billed; nothing is known of how it ended. A probe leaves the next one free.
-- KEYS: model state and tenant state of each attempt, in turn.  ARGV: clock, attempts.  Returns how many were held.

local freed = 0
for number = 2, #ARGV do
  local attempt, model_key, tenant_key = ARGV[number], KEYS[2 * number - 3], KEYS[2 * number - 2]
  redis.call('ZREM', tenant_key .. ':flight', attempt)
  redis.call('ZREM', model_key .. ':flight', attempt)
  if redis.call('HDEL', model_key .. ':held', attempt) == 1 then
    freed = freed + 1
    local model = load(model_key)
    if release_probe(model, attempt) then save(model_key, model) end
  end
end
return freed
