"""The status page: what the daemons do, what waits and why, and acts on the queue, in a browser."""
