"""MercuryE: looks up MX records and delivers to the destination itself."""
