"""The two sorts of mistake that a person at the command line can mend."""


class AskedWrong(Exception):
    """What was asked for cannot be done; the text is one line: what, where, and what to do instead."""


class FoundWrong(Exception):
    """What was found cannot be used; the text is one line: what, where, and what to do about it."""
