"""Not run: `mypy --strict` reads it. What type checkers say of Engine, Row and ScoreResult."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastfeat as ff
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from typing_extensions import assert_type

    payments = ff.Stream("payments", {"ts": ff.Timestamp("us"), "x": ff.Float64()}, time="ts")
    features = payments.features(total=ff.col("x").sum().over("1h"))
    engine = ff.Engine(features, streams=[payments], model=Path("model.txt"), raw_score=True)
    buffer: npt.NDArray[np.float64] = np.empty(1)

    assert_type(engine, ff.Engine)
    assert_type(engine.push({"ts": 0, "x": 1.0}), ff.Row)
    assert_type(engine.push({"ts": 0, "x": 1.0}, stream="payments"), ff.Row | None)
    assert_type(engine.push_json(b"{}", out=buffer), npt.NDArray[np.float64])
    assert_type(engine.push_json("{}"), ff.Row)
    assert_type(engine.peek({"ts": 0}), ff.Row)
    assert_type(engine.score({"ts": 0}), ff.ScoreResult)
    assert_type(engine.score_json(bytearray()).reasons(3)[0].contribution, float)
    assert_type(engine.names, tuple[str, ...])
    assert_type(engine.stats(), dict[str, Any])

    row = engine.push({"ts": 0, "x": 1.0})
    vector: npt.NDArray[np.float64] = np.asarray(row)
    view = memoryview(row)
    names: dict[str, Any] = {**row.to_dict()}
    total: float = row["total"]

    engine.push("not a mapping")  # type: ignore[call-overload]
    engine.push_json({"ts": 0})  # type: ignore[call-overload]
    ff.Engine(payments)  # type: ignore[arg-type]
