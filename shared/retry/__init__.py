"""Pure: when to try again, when to warn, when to give up."""
