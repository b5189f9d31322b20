"""Mail made fit for servers of fewer means: 8-bit, binary and UTF-8 headers made ASCII (RFC 2045, 2047)."""
