"""Past events in, a promoted release out."""
