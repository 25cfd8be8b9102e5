"""Running the stages of a run: what is missing or out of date, in order, and nothing else.

pending ──> ready: what it needs is done ──> current? ──> done before
             │                                └ no ──> in another run? ──> taken from there
             └ another process makes it: the next ready one first          └ no ──> running
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from w2stree.experiment.manifest import other_versions
from w2stree.experiment.run_directory import NOT_MADE, RunDirectory, StageSpec, StageWriter
from w2stree.experiment.shared_runs import SharedRuns
from w2stree.experiment.stages.bar import Line
from w2stree.shorten import visible

Stage = tuple[StageSpec, Callable[[StageWriter], None]]
Announce = Callable[[str, str], None]
"""Told of a stage, and what becomes of it."""


def run_stages(
    directory: RunDirectory,
    stages: Sequence[Stage],
    *,
    seed: int,
    force: Sequence[str] = (),
    announce: Announce,
    shared: SharedRuns | None = None,
    progress: Line = lambda done, total, words: None,
) -> None:
    """Run what is missing or out of date, in the order given; `force`d stages are redone.

    `announce(stage, what)` is told of each stage, and before the first one of those whose results
    will be replaced, and why. Earlier results stay until new ones are whole. With `shared`, stages
    that another run there has finished are taken over, and one that another process is making is
    waited for when nothing else can be done. `progress` is told of how many stages are there.
    """
    with directory.lock():
        directory.recover(spec for spec, _ in stages)
        for name, what in outlook(directory, [spec for spec, _ in stages], force):
            announce(name, what)
        bringing = _Bringing(directory, seed, force, announce, shared)
        pending = list(stages)
        while pending:
            ready = _ready(pending)
            progress(len(stages) - len(pending), len(stages), f"now {ready[0][0].name}")
            brought = next((stage for stage in ready if bringing.bring(stage)), None)
            if brought is None:
                brought = ready[0]
                bringing.bring(brought, waits=True)
            pending.remove(brought)
        progress(len(stages), len(stages), "all there")


def outlook(
    directory: RunDirectory, specs: Sequence[StageSpec], force: Sequence[str] = ()
) -> Iterator[tuple[str, str]]:
    """The stages whose finished results will be replaced, or may be, each with the reason.

    Reads manifests and what lies outside the run, no result: edited and lost files are found when
    their stage's turn comes.
    """
    redone: set[str] = set()
    for spec in specs:
        if spec.name in force:
            redone.add(spec.name)
            continue
        manifest = directory.manifest(spec.name)
        if manifest is None:
            continue
        if above := [need for need in spec.needs if need in redone]:
            own = "; ".join(str(change) for change in directory.changed(spec))
            reason = own or f"if {' or '.join(above)} comes out different"
        else:
            reason = directory.other_origin(spec)
        if reason:
            redone.add(spec.name)
            yield spec.name, f"to be redone: {reason} (took {manifest.get('seconds', 0):.0f} s)"


def _ready(pending: Sequence[Stage]) -> list[Stage]:
    names = {spec.name for spec, _ in pending}
    return [stage for stage in pending if names.isdisjoint(stage[0].needs)]


class _Bringing:
    """Brings one stage after another into a run."""

    def __init__(
        self,
        directory: RunDirectory,
        seed: int,
        force: Sequence[str],
        announce: Announce,
        shared: SharedRuns | None,
    ) -> None:
        self._directory, self._seed, self._force = directory, seed, force
        self._announce, self._shared = announce, shared

    def bring(self, stage: Stage, *, waits: bool = False) -> bool:
        """Whether the stage's result is there; False only without `waits`, where another process
        is making it."""
        spec, _ = stage
        is_forced = spec.name in self._force
        reason = "" if is_forced else self._directory.why_redo(spec)
        if not is_forced and not reason:
            self._announce(spec.name, f"done before{self._with_other_versions(spec)}")
            return True
        if is_forced or self._shared is None:
            self._run(stage, reason)
            return True
        wait = self._waiting_for(spec) if waits else None
        with self._shared.making(spec.name, self._directory.key(spec), wait=wait) as is_ours:
            if is_ours and not self._take(spec, self._shared):
                self._run(stage, reason)
            return is_ours

    def _take(self, spec: StageSpec, shared: SharedRuns) -> bool:
        for source in shared.results(spec.name, but=self._directory.path):
            if self._directory.take(spec, source):
                whose = visible(str(source.parent))
                self._announce(spec.name, f"taken from {whose}{self._with_other_versions(spec)}")
                return True
        return False

    def _run(self, stage: Stage, reason: str) -> None:
        spec, run = stage
        self._announce(
            spec.name, f"running, {reason}" if reason not in ("", NOT_MADE) else "running"
        )
        folder = self._directory.stage(spec.name)
        link = folder.readlink() if folder.is_symlink() else None
        with self._directory.write(spec, self._seed) as writer:
            run(writer)
        manifest = self._directory.manifest(spec.name)
        assert manifest is not None
        done = f"finished in {manifest['seconds']:.0f} s"
        self._announce(spec.name, f"{done}; {visible(str(link))} stays as it was" if link else done)

    def _waiting_for(self, spec: StageSpec) -> Callable[[str], None]:
        return lambda owner: self._announce(spec.name, f"waiting: {owner} is making it")

    def _with_other_versions(self, spec: StageSpec) -> str:
        other = other_versions(self._directory.manifest(spec.name) or {})
        return f", with {other}" if other else ""
