"""Pure values and rules: what is decided, without knowing any service."""
