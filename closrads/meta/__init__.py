"""Meta's Graph API: calls, errors, rate limits, reads, and parsing of rows."""
