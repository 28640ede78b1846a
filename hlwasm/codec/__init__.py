"""Python values to canonical-ABI bytes (lower) and back (lift)."""
