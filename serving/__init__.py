"""Events in, ranked threats out."""
