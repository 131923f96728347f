"""Redis and its scripts: records, keys, the cipher, the server's health, erasure."""
