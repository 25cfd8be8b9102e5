"""`w2stree verify RUN`: are the recorded trajectories what the environment answers?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated

import typer

from w2stree.cli.extra import needs
from w2stree.cli.given_paths import refuse_a_store
from w2stree.cli.left_out import nothing_played
from w2stree.cli.parameters import LogJson, whole_number
from w2stree.cli.progress import Bars
from w2stree.cli.say import say, warn
from w2stree.errors import InvalidInput
from w2stree.shorten import quoted, visible, where_they_part
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.rollouts.verification import Difference

_SHOWN_DIFFERENCES = 20
_SHOWN_COLUMNS = 120
_WAY = (
    "it has runs, and no config.json that says where they were played; give the run directory that "
    "they came from, or (w2stree convert) write them to a file beside its config.json"
)


def verify(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="a run directory, a stage of it, or a file in it"),
    ],
    sample: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(at_least=1),
            metavar="N",
            help="replay N trajectories (default: all)",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(parser=whole_number(), metavar="SEED", help="of the sample")
    ] = 0,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="run the code that the directory's config.json names"),
    ] = False,
    log_json: LogJson = False,
) -> int:
    """Replay recorded actions; report what differs.

    The exit status is 1 where anything differs. A directory may come from anybody: one whose
    environment is code of its own (gymnasium's make) is refused without --trust, with what it
    would run.
    """
    with needs("explore"):
        from w2stree.experiment.recorded_run import read_run
        from w2stree.rollouts.verification import verify as replay
    refuse_a_store(run, _WAY)
    recorded = read_run(run, trust=trust)
    for file in recorded.skipped:
        warn(f"not replayed (games with settings of their own): {file}")
    played = [t for t in recorded.trajectories if t.status != "error"]
    num_errors = len(recorded.trajectories) - len(played)
    played = _sample(played, sample, seed)
    if not played:
        raise InvalidInput(f"{run}: {nothing_played(recorded.trajectories)}")
    differing, shown = 0, 0
    with (
        recorded.environment.pool() as pool,
        Bars(as_json=log_json) as bars,
        bars.steps("verify episodes") as update,
    ):
        for done, (_, differences) in enumerate(replay(pool, played), start=1):
            differing += bool(differences)
            for difference in differences[: _SHOWN_DIFFERENCES - shown]:
                shown += 1
                say(_describe(difference))
            update(done, len(played), {"num_differing": differing})
    num_steps = sum(len(t.steps) for t in played)
    say(
        f"{len(played)} trajectories of {num_steps} steps replayed; {differing} differ; "
        f"{num_errors} error rows skipped"
    )
    return 1 if differing else 0


def _describe(difference: Difference) -> str:
    recorded, replayed = difference.recorded, difference.replayed
    start = where_they_part(recorded, replayed)
    return (
        f"{visible(difference.task_id)}, sample {difference.sample_index}, step {difference.step}: "
        f"{difference.what} differs{f' from character {start} on' if start else ''}\n"
        f"  recorded {quoted(recorded[start:], _SHOWN_COLUMNS)}\n"
        f"  replayed {quoted(replayed[start:], _SHOWN_COLUMNS)}"
    )


def _sample(trajectories: Sequence[Trajectory], size: int | None, seed: int) -> list[Trajectory]:
    if size is None or size >= len(trajectories):
        return list(trajectories)
    chosen = sorted(Random(seed).sample(range(len(trajectories)), size))
    return [trajectories[i] for i in chosen]
