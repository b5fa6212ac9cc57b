"""What is made of the event log, entry after entry, in a process of its own."""
