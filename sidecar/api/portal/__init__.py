"""What a user may ask for: its own use and entitlements, as JSON and as a page; nothing else."""
