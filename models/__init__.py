"""What learns from numbers and scores them, and the registry that keeps it."""
