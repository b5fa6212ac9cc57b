"""What sends events to a scoring endpoint."""
