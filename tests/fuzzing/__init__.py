"""Whatever the document allows, and what it forbids, asked of a running server."""
