"""Where events come from, one file per outside system. They know neither engines nor each other."""

from typing import Final

SOURCES: Final = ("kafka",)
