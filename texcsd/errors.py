"""The one exception for problems the user can fix."""


class TexcsdError(ValueError):
    """A problem the user can fix; the message is one line: what, which, received, what to do.

    The command line prints the message and exits with status 1; `batch` records it and goes on.
    """
