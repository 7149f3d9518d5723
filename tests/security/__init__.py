"""What must not come out, and what must not pile up."""
