"""One row's score by LightGBM's C API, as fastfeat calls it, with nothing above it: rust/lightgbm/examples/bench.rs.

FASTFEAT_BENCH_MODEL names `model_files.py`'s folder.
"""

from __future__ import annotations

import json
import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from one_row import folder
from yardstick import report


def main() -> None:
    from rust_loop import program

    place = find_spec("lightgbm").submodule_search_locations[0]
    library = next(Path(place).rglob("lib_lightgbm.*"))
    command = [program("fastfeat-lightgbm", "example", "bench"), folder() / "model.txt", folder() / "rows.f64"]
    environment = {**os.environ, "LIGHTGBM_LIBRARY": str(library)}
    run = subprocess.run(
        [str(each) for each in command], check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    numbers = json.loads(run.stdout)
    assert np.isclose(numbers.pop("raw_sum"), np.load(folder() / "answers.npy").sum(), rtol=1e-9)
    report(lightgbm_c_api=numbers)


if __name__ == "__main__":
    main()
