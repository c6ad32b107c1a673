-- Topics in order. ARGV[3]: where to begin, as in `values`.
return redis.call('ZRANGEBYLEX', P .. 'topics', ARGV[3], '+', 'LIMIT', 0, 512)
