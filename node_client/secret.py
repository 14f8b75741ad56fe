"""A value that does not show in a traceback with locals, a log or a pickle.

>>> Secret("correct horse")
Secret(...)
"""

from typing import NoReturn


class Secret[T]:
    """Holds a passphrase, or a document with a key in it, where a frame would show it."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The value; not to be given a name in a frame that may raise."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")
