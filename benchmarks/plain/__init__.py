"""The door's extraction once more, as plain Python loops over lines: what its speed is measured against."""
