"""The parts of the orchestrator that `sync.py` combines: leasing, approval, damping, execution, recheck, undo."""
