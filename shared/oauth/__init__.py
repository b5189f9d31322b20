"""OAuth 2 as a client: tokens for logins, fetched, kept and refreshed."""
