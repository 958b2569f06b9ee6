"""What is left when the process dies: the real handler, killed at every HTTP exchange, against the sandbox."""
