"""What an editor's checker makes of the shipped schemas."""
