"""Writes what the yardsticks of one row's score need, so that none of them needs fastfeat: a model, rows, its answers.

`python benches/compare/model_files.py FOLDER` writes model.txt, rows.f64 (rows that never come again, as events do, one
after the other, little-endian), rows.npy and answers.npy. They read it from FASTFEAT_BENCH_MODEL.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import yardstick  # noqa: F401  (puts benches/ on the path)

ROWS = 5_000


def main() -> None:
    from model import booster, feature_rows
    from workloads import cards, events_wanted

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    work = cards(max(min(events_wanted(), 60_000), 2 * ROWS))
    model = booster(work)
    rows = np.ascontiguousarray(feature_rows(work, len(work))[-ROWS:])
    model.save_model(folder / "model.txt")
    rows.astype("<f8").tofile(folder / "rows.f64")
    np.save(folder / "rows.npy", rows)
    np.save(folder / "answers.npy", model.predict(rows, raw_score=True))


if __name__ == "__main__":
    main()
