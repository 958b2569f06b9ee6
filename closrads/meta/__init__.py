"""Meta's Graph API: calls, errors, rate limits, and rows as values."""
