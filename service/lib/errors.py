"""The one exception of this package: something cannot be done, and a person has to change something first."""


class CannotStart(Exception):  # noqa: N818 -- it is read as a sentence where it is caught
    """Something that has to run cannot, or a command cannot be carried out.

    The message is one sentence or more for the person at the terminal: what is wrong and what to do.
    """
