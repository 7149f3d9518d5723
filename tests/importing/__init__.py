"""Old configurations, and what is said to wrong ones."""
