-- Writes something, so that a server that syncs what it writes has synced all that was written before.
redis.call('HSET', P .. 'meta', 'synced', text(stop))
return stop
