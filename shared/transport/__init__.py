"""SMTP over Twisted: connections to next hops, and the pool that keeps them."""
