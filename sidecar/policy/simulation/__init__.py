"""What would other policies have said of what was asked and used? Counted again, event by event."""
