"""Tests of `closrads.cli.doctor`."""
