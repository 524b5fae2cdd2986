"""What is to be granted where Kafka refuses something for want of a right."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["way_out"]


def way_out(error: BaseException, group: str) -> str:
    """The end of a message about an error; empty where no right is wanting."""
    from aiokafka import errors

    wanting = {
        errors.TopicAuthorizationFailedError: (
            "grant this user Describe and Read of the sources' topics, and Describe and Write of those of sink, dead "
            "letters and journal"
        ),
        errors.GroupAuthorizationFailedError: f"grant this user Read of group `{group}`, or set group to one it has",
        errors.TransactionalIdAuthorizationFailed: (
            "grant this user Describe and Write of transactional ids that begin with the pipeline's name, or write "
            "guarantee='at_least_once'"
        ),
    }
    for one in _causes(error):
        for kind, text in wanting.items():
            if isinstance(one, kind):
                return f"; {text}"
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
