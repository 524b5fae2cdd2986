"""docs/performance.json -> the tables in docs/performance.md and README.md, between their markers.

`python benches/compare/report.py` rewrites both; `--print` only prints. `plot.py` draws.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from catalogue import BATCH, ONE_ROW, ONLINE, SCRIPT_OF

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "performance.json"
PAGES = {"tables": ROOT / "docs" / "performance.md", "short": ROOT / "README.md"}


class Result:
    """One run, by name and number."""

    def __init__(self, result: dict[str, Any]) -> None:
        self.about = result["about"]
        self.measured = result["measured"]
        self.missing = result["missing"]

    def best(self, name: str, number: str) -> float | None:
        values = self.measured.get(name, {}).get(number)
        return values[0] if isinstance(values, list) else None

    def ratio(self, name: str, other: str, number: str = "ns_per_event") -> str:
        a, b = self.best(name, number), self.best(other, number)
        return "" if a is None or b is None else f"{a / b:.2f}"

    def why_missing(self, name: str) -> str:
        script = SCRIPT_OF.get(name, name)
        reason = next((text for label, text in self.missing.items() if label.split()[0] == script), None)
        return "not in this run" if reason is None else f"did not run: {reason[:120]}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def micro(value: float | None) -> str:
    """Microseconds as people read them."""
    if value is None:
        return ""
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def spread(result: Result, name: str, number: str) -> str:
    """The best, and the worst where it is another."""
    values = result.measured.get(name, {}).get(number)
    if not isinstance(values, list):
        return ""
    return micro(values[0]) if len(set(values)) == 1 else f"{micro(values[0])} ({micro(values[1])})"


def online(result: Result) -> str:
    rows = []
    for name, label in ONLINE.items():
        if name not in result.measured:
            rows.append([label, result.why_missing(name), "", "", ""])
            continue
        mean = result.best(name, "ns_per_event")
        mean = mean / 1e3 if mean is not None else result.best(name, "mean_us")
        cells = [spread(result, name, number) for number in ("p50_us", "p99_us", "p99_9_us")]
        rows.append([label, *cells, micro(mean)])
    return table(["one event, then its row (`cards-30`), microseconds", "p50", "p99", "p99.9", "mean"], rows)


def batch(result: Result) -> str:
    rows = []
    for name, label in BATCH.items():
        cells = []
        for work in ("cards_18", "cards_30"):
            values = result.measured.get(f"{name}_{work}", {}).get("events_per_s")
            cells.append(f"{values[0]:,.0f} ({values[1]:,.0f})" if values else result.why_missing(name))
        rows.append([label, *cells])
    return table(["events per second, a table in and a table out", "`cards-18`", "`cards-30`"], rows)


def one_row(result: Result) -> str:
    rows = []
    for name, label in ONE_ROW.items():
        if name not in result.measured:
            rows.append([label, result.why_missing(name), "", "", ""])
            continue
        wrong = result.best(name, "wrong_rows") or 0
        cells = [spread(result, name, number) for number in ("p50_us", "p99_us", "p99_9_us")]
        rows.append([label, *cells, f"{wrong:.0f} of {result.best(name, 'rows'):.0f}"])
    return table(["one row's score, 100 trees of 31 leaves, microseconds", "p50", "p99", "p99.9", "wrong rows"], rows)


def forms(result: Result) -> str:
    """What the shape of the work does."""
    rows = []
    core = result.best("fastfeat_core_cards_30", "ns_per_event")
    if core is not None:
        ratio = result.ratio("fastfeat_core_cards_30", "plain_rust_cards_30")
        rows.append(["engine against the plain Rust loop, `cards-30`", f"{core:,.0f} ns an event", f"{ratio} times"])
    one_more = result.best("fastfeat_core_cards_30_and_a_window", "ns_per_event")
    if core is not None and one_more is not None:
        rows.append(
            ["one more window (72h, six aggregations)", f"{one_more:,.0f} ns an event", f"+{one_more - core:,.0f} ns"]
        )
    late = result.best("fastfeat_core_late", "ns_per_event")
    if late is not None:
        ratio = result.ratio("fastfeat_core_late", "fastfeat_core_sorted")
        rows.append(
            [
                "5 % of events up to 10 s late",
                f"{late:,.0f} ns an event, same final bits",
                f"{ratio} times sorted input",
            ]
        )
    hot = result.best("fastfeat_core_hot_key", "p99_9_us")
    if hot is not None:
        live, most = result.best("fastfeat_core_hot_key", "live"), result.best("fastfeat_core_hot_key", "max_us")
        rows.append([f"one card with {live:,.0f} live events", f"p99.9 {micro(hot)} us, max {micro(most)} us", ""])
    rows += key_rows(result)
    return table(["work", "figure", "against"], rows)


def key_rows(result: Result) -> list[list[str]]:
    counts = sorted({int(name.split("_")[1]) for name in result.measured if name.startswith("keys_")})
    rows = []
    for cards in counts:
        for way, label in (("core", "one by one"), ("batch", "in tables"), ("plain", "plain Rust loop")):
            name, first = f"keys_{cards}_{way}", f"keys_{counts[0]}_{way}"
            nanoseconds = result.best(name, "ns_per_event")
            if nanoseconds is None:
                continue
            bytes_per_card, events = result.best(name, "bytes_per_card"), result.best(name, "events")
            figure = f"{nanoseconds:,.0f} ns an event, {bytes_per_card:,.0f} bytes a card"
            against = "" if cards == counts[0] else f"{result.ratio(name, first)} times {counts[0]:,} cards"
            rows.append([f"{cards:,} cards, {events:,.0f} events, {label}", figure, against])
    return rows


def machine(result: Result) -> str:
    where = result.about
    return (
        f"{where['date']}, {where['cpu']}, {where['cores']} cores, {where['memory_gib']} GiB, "
        f"Python {where['python']}; "
        f"{where['events']:,} events, best of {where['repeats']} rounds (in brackets the worst); load before the run "
        f"{where['load_before']}."
    )


def texts(result: Result) -> dict[str, str]:
    """What stands between the markers of each page."""
    tables = [machine(result), online(result), batch(result), one_row(result), forms(result)]
    return {"tables": "\n\n".join(tables), "short": "\n\n".join([machine(result), online(result), batch(result)])}


def between(page: str, text: str, where: str) -> str:
    """The page with the text between its markers."""
    pattern = re.compile(r"(<!-- performance:begin -->\n).*?(\n<!-- performance:end -->)", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"{where} has no markers; write <!-- performance:begin --> and <!-- performance:end --> in it")
    return pattern.sub(lambda found: found[1] + text + found[2], page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--print", action="store_true", help="print the tables, write nothing")
    given = parser.parse_args()
    made = texts(Result(json.loads(given.result.read_text())))
    print(made["tables"])
    if not given.print:
        for kind, path in PAGES.items():
            path.write_text(between(path.read_text(), made[kind], path.name))


if __name__ == "__main__":
    main()
