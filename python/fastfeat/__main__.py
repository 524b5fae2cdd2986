"""The command `fastfeat`, also `python -m fastfeat`. Needs typer and rich: `pip install "fastfeat[cli]"`.

Exit codes: 0 done, 1 measured and the budget is not met, 2 what was asked for cannot be done (and stderr says why);
`worker` has 3, gave up on Kafka, and 4, the state cannot be restored.
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


def _worker(app: typer.Typer) -> None:
    """Registers `fastfeat worker`."""
    import typer

    @app.command()
    def worker(
        pipeline: str = typer.Argument(..., help="Where the pipeline is: module:object, e.g. app:pipeline."),
        config: Path = typer.Option(None, "--config", help="Settings, TOML; by default fastfeat.toml if it is there."),
        dry_run: bool = typer.Option(False, "--dry-run", help="Check everything, start nothing."),
    ) -> None:
        """Kafka in, features and scores out, until it is stopped (SIGTERM).

        Exit code 0: stopped in good order. 2: cannot start. 3: gave up on Kafka. 4: the state cannot be restored.
        """
        from fastfeat.commands.worker import run

        raise typer.Exit(run(pipeline, config, dry_run))


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
    _worker(app)
    app()


if __name__ == "__main__":
    main()
