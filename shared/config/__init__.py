"""mercury.yaml: parsed, checked with positions, handed down as frozen values."""
