"""`/dashboard`: what a person sees of apps, users, decisions and policies, changing none."""
