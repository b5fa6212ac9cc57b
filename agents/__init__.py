"""Who watches each domain, and what they agree on."""
