"""What an operator does from a shell, as `python -m closrads`. For development machines: no function carries it."""
