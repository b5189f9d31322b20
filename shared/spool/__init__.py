"""The queue on disk: record, deposit, claim, settle, sweep, trail."""
