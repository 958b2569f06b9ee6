"""Meta's Graph API: calls, errors, rate limits, and parsing of rows."""
