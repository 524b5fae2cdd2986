"""Amounts of memory: what reads as one, and what a wrong one is told."""

import pytest
from fastfeat import DefinitionError
from fastfeat.sizes import BYTES_MAX, size_bytes


@pytest.mark.parametrize(
    ("size", "number"),
    [
        (1, 1),
        (BYTES_MAX, BYTES_MAX),
        ("1B", 1),
        ("2kB", 2_000),
        ("2 KiB", 2_048),
        ("500MB", 500_000_000),
        ("1.5GiB", 3 << 29),
        ("0.1TB", 100_000_000_000),
        ("1tib", 1 << 40),
    ],
)
def test_a_size_is_bytes_or_a_number_with_a_unit(size: "int | str", number: int):
    assert size_bytes("engine", "memory_limit", size) == number


@pytest.mark.parametrize("size", ["2G", "2 g", "GB", "", "-1GB", "1e3MB", "1ib", "1,5GB", 1.5, True, None, b"1GB", [1]])
def test_what_is_no_size_says_what_is_one(size: object):
    with pytest.raises(DefinitionError, match="write a number of bytes, or a text such as `2GiB` or `500MB`"):
        size_bytes("engine", "memory_limit", size)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, -1, BYTES_MAX + 1, "0GB", "0.1B", "999999999999999TiB"])
def test_a_size_beyond_its_bounds_is_refused(size: "int | str"):
    with pytest.raises(DefinitionError, match=f"is not between 1 and {BYTES_MAX} bytes"):
        size_bytes("engine", "memory_limit", size)
