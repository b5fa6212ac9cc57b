"""What the tests of reliability measured, each a line of JSON that `pytest -s` shows."""

import json


def tell(what: str, **figures: float | str | list[float]) -> None:
    """Print figures of a test, rounded."""
    told = {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
    print(f"\n{json.dumps({'measured': what} | told)}")
