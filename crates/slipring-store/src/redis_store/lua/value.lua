-- A value. ARGV[3..]: the space, the key.
return redis.call('HGET', P .. 'values:' .. ARGV[3], ARGV[4])
