"""Which other configuration a run's directory takes: results are replaced by who means to.

    changed keys ──> finished stages to be redone ──┬─ late ones alone ──> taken, and told
                                                    └─ others ──> refused, unless asked for
                                                                  (--redo; of a stage --force)

Another `name` is a title: alone it redoes the report; where methods would be redone too, it is
another experiment in this one's directory.

Late are the forest, the methods' own trainings, the evaluations and the report: what is tried again
and again on one exploration. Tasks, demonstrations, pretraining, the two models and the exploration
are what several rows of the table stand on: another value there is mostly another experiment, or a
slip in --run-dir.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from w2stree.errors import RunDirectoryError
from w2stree.experiment.changes import SEEDS, Change, is_within
from w2stree.experiment.config import Config
from w2stree.experiment.kept_config import of_another_configuration
from w2stree.experiment.run_directory import Accept, RunDirectory, StageSpec
from w2stree.experiment.stages.journals import older_journals, recorded_journals
from w2stree.experiment.stages.play import WEAK


def consent(
    config: Config, specs: Sequence[StageSpec], *, is_given: bool, force: Collection[str] = ()
) -> Accept:
    """What a `RunDirectory` asks for these stages. Those of `force` are redone whatever there is:
    of them nothing is asked, and nothing read."""
    late = _late(config)
    asked = [spec for spec in specs if spec.name not in force]

    def accept(directory: RunDirectory, differing: Sequence[Change]) -> None:
        begun = {
            spec.name
            for spec in specs
            if spec.name not in late and recorded_journals(directory.path, spec.name)
        }
        outdated = {
            spec.name
            for spec in specs
            if spec.name in begun and _reads_another_value(spec, differing, config)
        }
        if not is_given:
            redone = _redone(directory, asked)
            lost = {name: own for name, own in redone.items() if name not in late}
            interrupted = [
                spec.name
                for spec in asked
                if spec.name in outdated
                or (spec.name in begun and not redone.keys().isdisjoint(spec.needs))
            ]
            is_other = redone.keys() > {"report"} and any(c.key == "name" for c in differing)
            if what := _what_is_lost(directory, lost, interrupted, is_other=is_other):
                raise RunDirectoryError(
                    f"{of_another_configuration(directory.path, differing)}: {what}; choose "
                    "another --run-dir, or give --redo"
                )
        if WEAK.stage in outdated:
            for journal in older_journals(directory.path):
                journal.unlink()  # nothing would tell its episodes from those of today's settings

    return accept


def _late(config: Config) -> set[str]:
    compared = config.known_methods
    own = {method.name for method in compared if method.section is not None}
    return {"tree", "report", *own, *(f"evaluate_{method.name}" for method in compared)}


def _redone(directory: RunDirectory, specs: Sequence[StageSpec]) -> dict[str, bool]:
    """The finished stages that read what has changed, and those below them; whether it is the
    stage itself that reads it."""
    redone: dict[str, bool] = {}
    for spec in specs:
        if directory.manifest(spec.name) is not None:
            is_own = bool(directory.changed(spec))
            if is_own or not redone.keys().isdisjoint(spec.needs):
                redone[spec.name] = is_own
    return redone


def _what_is_lost(
    directory: RunDirectory,
    lost: Mapping[str, bool],
    interrupted: Sequence[str],
    *,
    is_other: bool,
) -> str:
    if lost:
        manifests = [directory.manifest(name) or {} for name in lost]
        seconds = sum(manifest.get("seconds", 0) for manifest in manifests)
        own = ", ".join(name for name, is_own in lost.items() if is_own)
        below = ", ".join(name for name, is_own in lost.items() if not is_own)
        then = f", and {below} where it comes out different" if below else ""
        return f"{own} would be redone{then} (they took {seconds:.0f} s)"
    if interrupted:
        return f"the play of {', '.join(interrupted)} that was interrupted would begin anew"
    if is_other:
        return "it is another experiment's"
    return ""


def _reads_another_value(spec: StageSpec, differing: Sequence[Change], config: Config) -> bool:
    """Whether one of these changes is of a key that the stage reads; of `seed`, where it draws
    with no seed of its own."""
    return any(
        is_within(change.key, spec.reads)
        or (
            change.key == "seed"
            and f"{SEEDS}{spec.name}" in spec.reads
            and spec.name not in config.seeds
        )
        for change in differing
    )
