"""The runner: claim, plan, carry, settle."""
