"""What `make bench-compare` runs, in the order of a round, and how it reads in the tables."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Script:
    """One process of a round: a script of this folder, with what it is given."""

    name: str
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    requirements: str | None = None
    """File in `requirements/`, for a Python of its own; None for the Python that has fastfeat."""
    needs_model: bool = False
    once: bool = False
    """Too long for every round."""

    @property
    def label(self) -> str:
        return " ".join([self.name, *self.arguments, *(f"{key}={value}" for key, value in self.environment.items())])


def scripts(events: int) -> list[Script]:
    """All of a round over so many events; sizes shrink with them."""
    scale = events / 1_000_000
    sizes = [(20_000, 1), (2_000_000, 10), (10_000_000, 50)]
    keys = [
        Script(
            "fastfeat_keys",
            ("--cards", str(max(round(cards * min(scale, 1)), 100)), "--events", str(events * times))
            + (("--plain",) if times <= 10 else ()),
            once=times > 1,
        )
        for cards, times in sizes
    ]
    count = ("--events", str(events))
    return [
        Script("plain_rust", count),
        Script("fastfeat_core", count),
        Script("fastfeat_batch", count),
        *(
            Script("polars_rolling", count, {"POLARS_MAX_THREADS": threads}, "polars_rolling.txt")
            for threads in ("1", "2")
        ),
        *(Script("duckdb_range", count, {"DUCKDB_THREADS": threads}, "duckdb_range.txt") for threads in ("1", "2")),
        Script("fastfeat_push", count),
        Script("python_deques", count, requirements="python_deques.txt"),
        Script("fastfeat_score", count),
        Script("lightgbm_c_api", needs_model=True),
        Script("lightgbm_predict", requirements="lightgbm_predict.txt", needs_model=True),
        Script("lleaves_row", requirements="lleaves_row.txt", needs_model=True),
        Script("tl2cgen_row", requirements="tl2cgen_row.txt", needs_model=True),
        Script("fastfeat_late", count),
        Script("fastfeat_hot_key", count, once=True),
        *keys,
    ]


# By table: the name of a measurement, and how it reads.
ONLINE = {
    "fastfeat_core_cards_30": "fastfeat's engine, from Rust",
    "plain_rust_cards_30": "plain Rust loop for this one work",
    "fastfeat_push": "`engine.push(dict)`",
    "fastfeat_push_out": "`engine.push(dict, out=buffer)`",
    "fastfeat_push_json": "`engine.push_json(bytes)`",
    "python_deques_cards_30": "Python deques, by hand",
    "fastfeat_score": "`engine.score(dict)`: the row, and 100 trees of 31 leaves",
    "deques_and_booster": "Python deques and `Booster.predict`",
}
BATCH = {
    "fastfeat_1": "fastfeat, one thread",
    "fastfeat_2": "fastfeat, two threads",
    "polars_1": "Polars `rolling`, one thread",
    "polars_2": "Polars `rolling`, two threads",
    "duckdb_1": "DuckDB `RANGE` frames, one thread",
    "duckdb_2": "DuckDB `RANGE` frames, two threads",
}
ONE_ROW = {
    "lightgbm_c_api": "LightGBM's C API, single-row fast path, as fastfeat calls it",
    "lleaves": "lleaves, from Python",
    "tl2cgen": "tl2cgen, from Python",
    "booster_predict": "`Booster.predict`",
}
# What a script's absence means to the reader of a table.
SCRIPT_OF = {
    "polars_1": "polars_rolling", "polars_2": "polars_rolling", "duckdb_1": "duckdb_range", "duckdb_2": "duckdb_range",
    "lleaves": "lleaves_row", "tl2cgen": "tl2cgen_row", "booster_predict": "lightgbm_predict",
}  # fmt: skip
