"""What makes a daemon of the parts: start, signals, systemd, exit codes."""
