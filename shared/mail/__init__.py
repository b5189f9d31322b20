"""The nouns of mail, frozen and pure: address, reply, envelope, outcome, trace."""
