"""How much of everything was there? Counted in plain numbers, told to whoever scrapes."""
