"""docs/performance.json -> docs/performance.svg: microseconds an event on cards-30, all ways of running in one picture.

It needs requirements/plot.txt. Text and axes take the colour of the page: dark on light, light on dark.
"""

from __future__ import annotations

import argparse
import json
from io import StringIO
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[2]
INK, INK_ON_DARK = "#24292f", "#e6edf3"
OURS, THEIRS = "#2f81f7", "#9aa4af"
BARS = [
    ("plain Rust loop, one by one", "plain_rust_cards_30", THEIRS),
    ("fastfeat engine, one by one", "fastfeat_core_cards_30", OURS),
    ("fastfeat push_batch, 1 thread", "fastfeat_1_cards_30", OURS),
    ("fastfeat push_batch, 2 threads", "fastfeat_2_cards_30", OURS),
    ("fastfeat push(dict)", "fastfeat_push", OURS),
    ("DuckDB, table, 2 threads", "duckdb_2_cards_30", THEIRS),
    ("DuckDB, table, 1 thread", "duckdb_1_cards_30", THEIRS),
    ("Polars, table, 2 threads", "polars_2_cards_30", THEIRS),
    ("Polars, table, 1 thread", "polars_1_cards_30", THEIRS),
    ("Python deques, one by one", "python_deques_cards_30", THEIRS),
]


def microseconds(numbers: dict) -> float | None:
    """Mean time of one event."""
    if "ns_per_event" in numbers:
        return numbers["ns_per_event"][0] / 1e3
    if "mean_us" in numbers:
        return numbers["mean_us"][0]
    return 1e6 / numbers["events_per_s"][0] if "events_per_s" in numbers else None


def draw(result: dict) -> str:
    """The SVG."""
    mpl.rcParams.update({
        "svg.fonttype": "none", "svg.hashsalt": "fastfeat", "font.family": "sans-serif", "text.color": INK,
        "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": INK,
    })  # fmt: skip
    found = [(label, microseconds(result["measured"].get(name, {})), colour) for label, name, colour in BARS]
    bars = sorted([bar for bar in found if bar[1] is not None], key=lambda bar: -bar[1])
    figure, axes = plt.subplots(figsize=(8, 0.38 * len(bars) + 1.1))
    drawn = axes.barh([bar[0] for bar in bars], [bar[1] for bar in bars], color=[bar[2] for bar in bars], height=0.62)
    axes.bar_label(drawn, [f"{bar[1]:.2f}" if bar[1] < 10 else f"{bar[1]:.0f}" for bar in bars], padding=4, color=INK)
    axes.set_xscale("log")
    axes.set_xlim(left=0.1)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("microseconds an event (mean, log scale; shorter is faster)")
    axes.set_title("cards-30: 30 exact features of two keys over 1 h, 24 h and 7 d", loc="left", fontsize=11)
    axes.set_xlim(right=2.2 * max(bar[1] for bar in bars))
    axes.spines[["top", "right"]].set_visible(False)
    out = StringIO()
    figure.savefig(out, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    style = (
        "<style>@media (prefers-color-scheme: dark) {"
        f'[style*="fill: {INK}"] {{fill: {INK_ON_DARK} !important}} '
        f'[style*="stroke: {INK}"] {{stroke: {INK_ON_DARK} !important}}}}</style>\n'
    )
    head, svg, rest = out.getvalue().partition("<svg ")
    opening, end, body = rest.partition(">\n")
    return head + svg + opening + end + style + body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--result", type=Path, default=ROOT / "docs" / "performance.json")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "performance.svg")
    given = parser.parse_args()
    given.out.write_text(draw(json.loads(given.result.read_text())))


if __name__ == "__main__":
    main()
