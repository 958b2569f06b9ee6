"""The border of HTTP on real sockets, and AWS behind it."""
