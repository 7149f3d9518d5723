"""What clients of all kinds do to a server, and what a server does to its clients in the end."""
