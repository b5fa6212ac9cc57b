"""Text that does nothing to who looks at it: no control or invisible characters, no change of direction."""


def harmless(text: str) -> str:
    r"""The same text, its characters that cannot be printed (half a surrogate pair, too) as Python escapes them.

    >>> print(harmless("a\x1b[31m\u202eb"))
    a\x1b[31m\u202eb
    """
    return text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
