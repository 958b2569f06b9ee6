"""Keeps the geo targeting of Meta ad sets equal to a partner's lead demand; `handler.py` is the entry point."""
