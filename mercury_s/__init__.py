"""MercuryS: the SMTP server that receives mail into the spool and delivers local mail."""
