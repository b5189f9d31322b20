"""Local mail: who has a mailbox, what aliases mean, and the carriers into Maildirs."""
