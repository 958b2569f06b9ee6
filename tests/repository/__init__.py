"""Tests of the repository itself: documents, lock files, set-up, workflows."""
