"""A durable file in a Maildir: the tree, the committer, the spill of what is too large for memory. Knows no mail."""
