"""Pure values and rules: they decide, and know no service."""
