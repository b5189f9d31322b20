"""A durable file in a Maildir: names, tmp to new, sync. Knows no mail."""
