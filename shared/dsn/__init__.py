"""Pure: delivery status reports (RFC 3461-3464, 6522, 6533)."""
