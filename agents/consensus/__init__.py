"""How six opinions become one ranking."""
