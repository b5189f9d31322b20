"""TLS contexts for listeners and for outgoing connections."""
