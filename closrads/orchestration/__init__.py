"""The parts of the orchestrator that `sync.py` puts together: the context, leasing, approval, recheck, undo."""
