"""Logs in files: read, scored once or as they grow, and written."""
