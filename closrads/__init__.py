"""Keeps the geo targeting of Meta ad sets equal to a partner's lead demand; see `handler.py` for the way in."""
