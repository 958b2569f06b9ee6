"""A run's result → the mail: subject, HTML and text."""
