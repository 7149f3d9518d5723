"""Small programs to begin with; nothing in the sidecar imports them."""
