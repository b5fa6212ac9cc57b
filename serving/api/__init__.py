"""The scoring endpoint over HTTP."""
