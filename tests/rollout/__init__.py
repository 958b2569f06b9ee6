"""The heart: waves, one change, recovery, and what they may take."""
