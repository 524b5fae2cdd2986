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
        path: str = typer.Argument(
            ..., help="A file, or a folder with its chains; an address such as s3://bucket/x too."
        ),
        key: list[str] = typer.Option([], "--key", help="COLUMN=VALUE: the events of this key; once per key column."),
        as_json: bool = typer.Option(False, "--json", help="One object of JSON on stdout, for machines."),
    ) -> None:
        """Chain, sections, counters, tables and checksums of a checkpoint; it needs no definition.

        Exit code 0: all is whole. 1: something is damaged. 2: it cannot be looked at.
        """
        from fastfeat.commands.checkpoint import inspect as run

        raise typer.Exit(run(path, key, as_json))


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


def _run(app: typer.Typer) -> None:
    """Registers `fastfeat run`."""
    import typer

    @app.command("run")
    def run_files(
        pipeline: str = typer.Argument(..., help="Where the pipeline is: module:object, e.g. app:pipeline."),
        inputs: list[str] = typer.Option(
            ..., "--input", help="File of events (.parquet, .jsonl, - for stdin); STREAM=FILE for each of several."
        ),
        output: str = typer.Option("-", "--output", help="File of rows (.jsonl, .parquet); - for stdout."),
        dead_letters: str = typer.Option(None, "--dead-letters", help="File (.jsonl) of the events that are refused."),
    ) -> None:
        """A pipeline over files, without a broker: the rows that a worker would publish, and a count on stderr.

        Exit code 0: all events were taken, or refused and told. 2: it could not be done, and no file is left.
        """
        from fastfeat.commands.run import run

        raise typer.Exit(run(pipeline, inputs, output, dead_letters))


def _dead_letters(app: typer.Typer) -> None:
    """Registers `fastfeat dead-letters replay`."""
    import typer

    letters = typer.Typer(no_args_is_help=True, help="Messages that a worker refused.")
    app.add_typer(letters, name="dead-letters")

    @letters.callback()
    def dead_letters() -> None:
        """Messages that a worker refused."""

    @letters.command()
    def replay(
        pipeline: str = typer.Argument(..., help="Where the pipeline is: module:object, e.g. app:pipeline."),
        repair: str = typer.Option(
            None, "--repair", help="module:function from bytes to bytes, or None to leave a message where it is."
        ),
        code: list[str] = typer.Option([], "--code", help="Only those refused for this reason, e.g. late; repeat it."),
        config: Path = typer.Option(None, "--config", help="Settings, TOML; by default fastfeat.toml if it is there."),
        dry_run: bool = typer.Option(False, "--dry-run", help="Count what would be put back, and change nothing."),
    ) -> None:
        """Puts refused messages back into the topics that they came from, each once, repaired if you say how."""
        from fastfeat.commands.dead_letters import run

        raise typer.Exit(run(pipeline, config, repair, code, dry_run))


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
    _worker(app)
    _run(app)
    _dead_letters(app)
    app()


if __name__ == "__main__":
    main()
