"""The report on a run: its result → subject, HTML and text of the mail."""
