"""What happened, and the numbers that describe it."""
