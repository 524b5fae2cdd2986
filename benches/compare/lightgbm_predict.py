"""One row's score by `Booster.predict`, as Python services do it.

FASTFEAT_BENCH_MODEL names `model_files.py`'s folder.
"""

from __future__ import annotations

import lightgbm
from one_row import folder, measure, rows
from yardstick import report


def main() -> None:
    model = lightgbm.Booster(model_file=folder() / "model.txt")
    score = lambda row: model.predict(row, raw_score=True, num_threads=1)[0]  # noqa: E731
    report(booster_predict=measure(score, rows()))


if __name__ == "__main__":
    main()
