"""Ranked threats: kept, told, explained and answered."""
