"""Changes carried out safely: canary, waves, one ad set's change, recovery."""
