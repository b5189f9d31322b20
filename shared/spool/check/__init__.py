"""Looking through a spool for damage, and mending it: `mercury queue check`."""
