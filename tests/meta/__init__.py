"""Calls to Meta, and what is made of its answers."""
