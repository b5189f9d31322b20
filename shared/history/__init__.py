"""What became of every message: kept for weeks, searched by address, id, Message-ID, client and reply."""
