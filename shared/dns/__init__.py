"""What the DNS says: mail exchangers and addresses, as values a sender can decide by."""
