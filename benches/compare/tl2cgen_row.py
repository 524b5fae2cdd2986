"""One row's score by tl2cgen, which compiles the trees as C. FASTFEAT_BENCH_MODEL names `model_files.py`'s folder.

Each call makes its matrix and predicts, as a service that has one row must.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import tl2cgen
import treelite
from one_row import folder, measure, rows
from yardstick import report, timed


def main() -> None:
    model = treelite.frontend.load_lightgbm_model(folder() / "model.txt")
    with tempfile.TemporaryDirectory() as made:
        library = Path(made) / "trees.so"
        export = lambda: tl2cgen.export_lib(model, toolchain="gcc", libpath=library)  # noqa: E731
        seconds, _ = timed(export)
        predictor = tl2cgen.Predictor(library, nthread=1)
        score = lambda row: predictor.predict(tl2cgen.DMatrix(row), pred_margin=True).item()  # noqa: E731
        report(tl2cgen={**measure(score, rows()), "compile_s": seconds})


if __name__ == "__main__":
    main()
