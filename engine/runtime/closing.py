"""The one context manager of everything that is closed at its end."""

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """Closes itself when its `with` block ends, also by an exception, which goes on."""

    @abstractmethod
    def close(self) -> None:
        """Release what it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
