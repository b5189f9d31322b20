"""How this host stands towards the Internet, as strangers judge mail by it."""
