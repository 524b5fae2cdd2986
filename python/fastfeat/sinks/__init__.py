"""Where rows go, one file per outside system. They know neither engines nor each other."""

from typing import Final

SINKS: Final = ("files", "kafka")
