"""The simulated estate: who is there, what they do, what disturbs them, and who attacks."""
