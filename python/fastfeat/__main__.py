"""The command `fastfeat`, also `python -m fastfeat`. Needs typer and rich: `pip install "fastfeat[cli]"`.

Exit codes: 0 done, 1 measured and the budget is not met, 2 what was asked for cannot be done (and stderr says why).
What a command needs is imported when it runs, so that `--help` is there at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

__all__ = ["main"]

CANNOT = 2


def _bench(app: typer.Typer) -> None:
    """Registers `fastfeat bench`."""
    import typer

    @app.command()
    def bench(
        features: str = typer.Argument(..., help="Where the features are: module:object, e.g. app:features."),
        events: list[str] = typer.Option(
            ...,
            "--events",
            help="File of events (.parquet, .jsonl) in order of time; STREAM=FILE for each of several streams.",
        ),
        budget_us: float = typer.Option(None, "--budget-us", min=0.0, help="Microseconds that one event may take."),
        model: Path = typer.Option(None, "--model", help="LightGBM model: scoring is measured too."),
        limit: int = typer.Option(100_000, "--limit", min=2, help="So many events at most; the first half is history."),
        repeats: int = typer.Option(5, "--repeats", min=1, help="Runs of each variant; the fastest chunks count."),
        as_json: bool = typer.Option(False, "--json", help="One object of JSON on stdout, for machines."),
    ) -> None:
        """What each stage and each feature costs an event, and what to change to meet a budget.

        Exit code 0: measured, and the budget, if there is one, is met. 1: it is not. 2: it cannot be measured.
        """
        from fastfeat.commands.bench import run

        raise typer.Exit(run(features, events, budget_us, model, limit, repeats, as_json))


def _checkpoint(app: typer.Typer) -> None:
    """Registers `fastfeat checkpoint`."""
    import typer

    group = typer.Typer(no_args_is_help=True, help="Checkpoints: what is inside.")
    app.add_typer(group, name="checkpoint")

    @group.callback()
    def checkpoint() -> None:
        """Checkpoints: what is inside."""

    @group.command()
    def inspect(
        path: Path = typer.Argument(..., help="A file, or a folder with its chains."),
        key: list[str] = typer.Option([], "--key", help="COLUMN=VALUE: the events of this key; once per key column."),
        as_json: bool = typer.Option(False, "--json", help="One object of JSON on stdout, for machines."),
    ) -> None:
        """Chain, sections, counters, tables and checksums of a checkpoint; it needs no definition.

        Exit code 0: all is whole. 1: something is damaged. 2: it cannot be looked at.
        """
        from fastfeat.commands.checkpoint import inspect as run

        raise typer.Exit(run(path, key, as_json))


def main() -> None:
    """Runs the command that the arguments name."""
    try:
        import typer
    except ImportError:
        print('fastfeat: the commands need typer and rich: pip install "fastfeat[cli]"', file=sys.stderr)
        sys.exit(CANNOT)
    # Help without rich's markup: importing that takes longer than all the rest of `--help`.
    app = typer.Typer(
        name="fastfeat",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def fastfeat() -> None:
        """Machine-learning features and scores from event streams."""

    _bench(app)
    _checkpoint(app)
    app()


if __name__ == "__main__":
    main()
