"""Pure: which lane and which next hop a recipient takes, and why."""
