"""The commands as processes of their own."""
