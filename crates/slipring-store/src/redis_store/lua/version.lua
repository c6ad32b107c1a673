-- How many events a stream has ever had. ARGV[3]: the stream.
return redis.call('HGET', P .. 'versions', ARGV[3]) or '0'
