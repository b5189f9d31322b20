"""The language of SMTP without I/O: bytes in, events out; replies in, bytes out."""
