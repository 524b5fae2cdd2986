"""cards-18 and cards-30 as a plain Rust loop, one event after the other: the yardstick of the gates.

`python benches/compare/plain_rust.py --events 1000000` prints one line of JSON. The loop is
rust/engine/benches/compare/plain.rs; cargo builds it.
"""

from __future__ import annotations

from yardstick import events_of, report


def main() -> None:
    from rust_loop import run
    from workloads import cards

    work = cards(events_of(__doc__))
    report(plain_rust_cards_18=run("plain18", work), plain_rust_cards_30=run("plain30", work))


if __name__ == "__main__":
    main()
