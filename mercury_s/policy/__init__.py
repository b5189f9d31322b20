"""Pure decisions of the front door: facts in, verdict out. No I/O."""
