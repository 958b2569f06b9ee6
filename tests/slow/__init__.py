"""Tests that need a real server, process, socket or browser, or that build and deploy."""
