"""What an operator wants to know of the spool and the history, for the commands and the status page."""
