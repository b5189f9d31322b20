"""Who is this: accounts and the checking of logins."""
