"""The report as mail programs show it."""
