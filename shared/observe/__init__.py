"""What happened: named events, to the log and to the journal."""
