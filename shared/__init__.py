"""What two or more of the three daemons need; rooms import downward only (docs/architecture.md)."""

__version__ = "0.1.0"
