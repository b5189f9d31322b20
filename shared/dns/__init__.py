"""Questions to the domain name system, and their answers as values."""
