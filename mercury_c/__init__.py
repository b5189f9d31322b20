"""MercuryC: hands spooled mail to a smarthost."""
