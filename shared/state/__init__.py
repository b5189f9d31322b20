"""What the suite keeps in its state folder besides mail, shared between the daemons and the `mercury` command."""
