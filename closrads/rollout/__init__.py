"""Safe rollout of changes: canary, waves, one ad set's change, recovery."""
