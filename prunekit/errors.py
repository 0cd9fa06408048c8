"""The one error that users meet as a line of text, not as a traceback."""


class UserError(Exception):
    """Something the user can mend: the message says what, where and what to do, in one line."""
