"""The mercury command. Nobody imports it."""
