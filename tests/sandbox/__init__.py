"""Tests of the sandbox: the stand-ins must behave as the services they stand in for."""
