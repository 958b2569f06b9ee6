"""`doctor`: checks everything that a run needs, without changing anything."""
