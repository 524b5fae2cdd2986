"""One row's score by lleaves, which compiles the trees with LLVM.

FASTFEAT_BENCH_MODEL names `model_files.py`'s folder.
"""

from __future__ import annotations

import lleaves
from one_row import folder, measure, rows
from yardstick import report, timed


def main() -> None:
    model = lleaves.Model(model_file=str(folder() / "model.txt"))
    seconds, _ = timed(lambda: model.compile(raw_score=True))
    score = lambda row: model.predict(row, n_jobs=1)[0]  # noqa: E731
    report(lleaves={**measure(score, rows()), "compile_s": seconds})


if __name__ == "__main__":
    main()
