"""The parts of the orchestrator: leasing, approval, recheck, undo."""
