"""What can be said of an expression's outcome before it is evaluated: always, never, only if."""
