"""The built package on the real Lambda runtime, against the sandbox in real time."""
