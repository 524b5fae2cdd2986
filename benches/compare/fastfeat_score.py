"""fastfeat's push and score in one call from Python: cards-30, and LightGBM with 100 trees of 31 leaves.

`python benches/compare/fastfeat_score.py --events 1000000` prints one line of JSON. Beside it is what a service does
without fastfeat: rows by hand-written deques, scored by `Booster.predict`.
"""

from __future__ import annotations

import numpy as np
from fastfeat_push import numbers, warm
from yardstick import check_row, events_of, latencies, report

BESIDE = 20_000


def main() -> None:
    import python_deques
    from model import booster
    from workloads import cards

    work = cards(events_of(__doc__))
    model = booster(work)
    engine, events = warm(work, model=model)
    score, result = latencies(engine.score, events)
    check_row(work, len(work) - 1, numbers(result.features.to_dict()), 1e-9)
    assert np.isclose(result.score, model.predict(np.asarray(result.features)[None])[0], rtol=1e-12)

    by_hand = python_deques.Engine()
    order = [python_deques.NAMES.index(name) for name in engine.names]
    history = len(work) - min(BESIDE, len(events))
    for event in work.dicts(0, history):
        by_hand.push(event)

    def push_and_predict(event: dict) -> float:
        row = by_hand.push(event)
        return model.predict(np.array([[row[place] for place in order]]), num_threads=1)[0]

    beside, answer = latencies(push_and_predict, work.dicts(history))
    # Sums that drift may move a value over a split; mostly they do not.
    assert np.isclose(answer, result.score, atol=0.05)
    report(
        fastfeat_score={"events": len(events), **score},
        deques_and_booster={"events": len(work) - history, **beside},
    )


if __name__ == "__main__":
    main()
