"""A run's directory: one folder a finished stage, each with a manifest of how it came about.

runs/quickstart/
  config.json                 the configuration, resolved; the newest (`kept_config`)
  demonstrations/
    trajectories.jsonl
    manifest.json             config, versions, seed, inputs' hashes, outputs' hashes, time
  sft_weak/ …                 a folder, or a link to one
  .sft_strong.partial/        a stage in the making; renamed when it is complete (`stage_folder`)
  .lock                       of the process that runs it (`run_lock`)
  .hashes.json                what need not be read again to know its hash (`hashes`)
  .references/                what references said of rows; may be deleted (`stages/learn`)
  .curves/                    what `report_to` asks for; may be deleted
  .explore.times              when its episodes were played; may be deleted (`trajectories/times`)
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.experiment.changes import Change, changes, values
from w2stree.experiment.hashes import KEPT, Hashes, absence, named
from w2stree.experiment.kept_config import held_run
from w2stree.experiment.manifest import peak_memory_mb, read_manifest, versions
from w2stree.experiment.stage_folder import StageFolder
from w2stree.shorten import visible


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A named step of a run, and all that its result depends on.

    needs ────┐  stages of the run, whose outputs it reads
    external ─┼─> stage ─> makes    files in its folder; it may make others too
    reads ────┘  keys of the configuration ("merge", "seeds.explore"; "" is all of it)

    Of a stage that is in `files` no more is read than the files named there: the others may come
    out different. Where a stage has not made them all, as of an older version, it is all of it.
    """

    name: str
    needs: tuple[str, ...]
    makes: tuple[str, ...] = ()
    external: tuple[Path, ...] = ()
    reads: tuple[str, ...] = ()
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def read_of(self, stage: str, outputs: Mapping[str, str]) -> Mapping[str, str]:
        """Of what another stage made, with the hashes, what this one reads."""
        files = self.files.get(stage, ())
        is_told = bool(files) and outputs.keys() >= set(files)
        return {file: outputs[file] for file in files} if is_told else outputs


NOT_MADE = "not made yet"

Accept = Callable[["RunDirectory", Sequence[Change]], None]
"""Raises `RunDirectoryError` where a run does not take another configuration."""


class RunDirectory:
    """Opens or creates a run; raises `RunDirectoryError` where another configuration made it that
    `accept` does not take, and where another process is in it.

    No result depends on keys of `may_change`; another value of any other key redoes the stages
    that read it, once `accept` lets the configuration in (without it none is). `read`: as
    `held_run` has it.
    """

    def __init__(
        self,
        path: Path,
        config: Mapping[str, Any],
        *,
        may_change: Collection[str] = (),
        accept: Accept | None = None,
        read: Callable[[Any], Any] = lambda c: c,
    ) -> None:
        self.path = path
        self._config = json.loads(json.dumps(config, default=str))
        self._may_change = may_change
        self._accept = None if accept is None else functools.partial(accept, self)
        self._read = read
        self._hashes = Hashes()
        self._is_held = False
        with self.lock():
            pass

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process, with this configuration; within a block that holds it
        already, nothing. The lock is the system's and ends with the process."""
        if self._is_held:
            yield
            return
        with held_run(
            self.path,
            self._config,
            may_change=self._may_change,
            accept=self._accept,
            read=self._read,
        ):
            self._hashes = Hashes(self.path / KEPT)
            try:
                self._is_held = True
                yield
            finally:
                self._is_held = False
                self._hashes.keep()

    def stage(self, name: str) -> Path:
        """The folder of a stage's result."""
        return self.path / name

    def manifest(self, name: str) -> dict[str, Any] | None:
        """A finished stage's manifest; None where the stage has not finished."""
        return read_manifest(self.stage(name), name)

    def recover(self, specs: Iterable[StageSpec]) -> None:
        """Bring to an end what an earlier process was interrupted in, at these stages."""
        with self.lock():
            for spec in specs:
                StageFolder(self.path, spec.name).recover(self._hashes)

    def is_current(self, spec: StageSpec) -> bool:
        """Whether nothing is to be done; see `why_redo`."""
        return not self.why_redo(spec)

    def why_redo(self, spec: StageSpec) -> str:
        """Why the stage's result is none of today's, or `NOT_MADE`; "" where it is.

        It is today's where the stage has finished on the results its inputs have now and on
        today's values of the keys it reads, made all that is read of it (an older version may have
        made less), and still has every file as it wrote it.

        Raises `RunDirectoryError` naming a file that was changed afterwards, a file that the
        stage did not write, a link that leads nowhere, and a configuration that is not read here:
        what would be lost with it is not known.
        """
        folder = self.stage(spec.name)
        if folder.is_symlink() and not folder.exists():
            raise RunDirectoryError(
                f"{visible(str(folder))}: {absence(folder)}; bring the stage {spec.name} back to "
                f"where the link leads, or redo it with --force {spec.name}"
            )
        manifest = self.manifest(spec.name)
        if manifest is None:
            return NOT_MADE
        return self._other_origin(spec, manifest) or self._lost(spec.name, manifest["outputs"])

    def changed(self, spec: StageSpec) -> list[Change]:
        """The keys that the stage reads and that are another now than when it finished; none
        where it has not finished, or with a configuration that is not read here."""
        manifest = self.manifest(spec.name)
        try:
            return [] if manifest is None else self._changes(spec, manifest)
        except (InvalidInput, KeyError):
            return []

    def other_origin(self, spec: StageSpec) -> str:
        """How what the finished stage was made from differs from what it would read now; "" where
        it does not, or where the stage has not finished. Reads no result."""
        manifest = self.manifest(spec.name)
        return "" if manifest is None else self._other_origin(spec, manifest)

    def key(self, spec: StageSpec) -> str:
        """What the stage's result follows from, as a digest: two stages with one key are the same
        stage, in whatever runs. The stages it needs must have finished."""
        return self._key(spec, self._input_hashes(spec))

    def _key(self, spec: StageSpec, inputs: Mapping[str, Any]) -> str:
        read = values(self._config, of=spec.reads, but=self._may_change)
        text = json.dumps([spec.name, inputs, read], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def take(self, spec: StageSpec, source: Path) -> bool:
        """Take over a stage's result that another run has in the folder `source`, if it is the
        result that this run would make, and whole.

        The files are linked, or copied from another file system, and every one of them is hashed
        here before the result takes the stage's name. False, with this run as it was, where the
        result follows from something else, or is torn, edited, or on its way out.
        """
        try:
            manifest = read_manifest(source, spec.name)
        except RunDirectoryError:
            return False
        if manifest is None or manifest.get("stage") != spec.name:
            return False
        names_all = manifest["inputs"].keys() >= {str(path) for path in spec.external}
        try:
            if not names_all or self._other_origin(spec, manifest):
                return False
        except RunDirectoryError:
            return False
        folder = StageFolder(self.path, spec.name)
        with self.lock():
            folder.recover(self._hashes)
            folder.refuse_to_lose()
            draft = {**manifest, "outlived": [], "taken_from": str(source)}
            return folder.take(source, draft, self._hashes)

    def _other_origin(self, spec: StageSpec, manifest: Mapping[str, Any]) -> str:
        """How what a result was made from differs from what the stage would read now.

        A file outside that the manifest does not name is one that an older version read and did
        not write down: whatever leads a stage to another file is a key that it reads.
        """
        inputs = manifest["inputs"]
        older = {str(path) for path in spec.external} - inputs.keys()
        now = {name: of for name, of in self._input_hashes(spec).items() if name not in older}
        if others := [
            name
            for name in now
            if inputs.get(name) != now[name] and not self._was_read_whole(spec, name, inputs)
        ]:
            if new := [name for name in others if name not in inputs]:
                more = f" and {len(new) - 3} more" if len(new) > 3 else ""
                return f"{visible(', '.join(new[:3]))}{more}: not read when it was made"
            return f"{visible(', '.join(others))}: another than it was made from"
        if others := [name for name in inputs if name not in now]:
            return f"{visible(', '.join(others))}: not read any more"
        try:
            differing = self._changes(spec, manifest)
        except (InvalidInput, KeyError) as error:
            reason = "; ".join(str(error).splitlines()[:3])
            raise RunDirectoryError(
                f"{visible(str(self.stage(spec.name)))} was made by a configuration of another "
                f"version, which is not read here ({reason}); go on with what made it, or redo "
                f"the stage with --force {spec.name}"
            ) from None
        if differing:
            return "; ".join(str(change) for change in differing)
        missing = _missing(spec, manifest["outputs"])
        return f"made without {', '.join(missing)}" if missing else ""

    def _was_read_whole(self, spec: StageSpec, name: str, inputs: Mapping[str, Any]) -> bool:
        """Whether a stage was made when another one had no file for it alone, from files that it
        has unchanged."""
        recorded, manifest = inputs.get(name), self.manifest(name) if name in spec.files else None
        if manifest is None or not isinstance(recorded, dict) or not recorded:
            return False
        return bool(recorded.items() <= manifest["outputs"].items())

    def _changes(self, spec: StageSpec, manifest: Mapping[str, Any]) -> list[Change]:
        if not spec.reads:
            return []
        made_with = self._read(manifest["config"])
        return changes(made_with, self._config, of=spec.reads, but=self._may_change)

    def _lost(self, name: str, outputs: Mapping[str, str]) -> str:
        """Which file of what the stage wrote is not there; all others are as it wrote them, and
        nothing else is there."""
        folder = self.stage(name)
        lost = ""
        for file, digest in outputs.items():
            path = folder / file
            if not path.is_file():
                lost = lost or f"{visible(file)}: lost"
            elif self._hashes.of_file(path) != digest:
                raise RunDirectoryError(
                    f"{visible(str(path))} is not what the stage {name} wrote: it was changed "
                    f"afterwards. Put it back, or redo the stage with --force {name}"
                )
        StageFolder(self.path, name).refuse_others(outputs)
        return lost

    @contextmanager
    def write(self, spec: StageSpec, seed: int) -> Iterator[StageWriter]:
        """Fill a partial folder; it takes the stage's name only when the block succeeds.

        Left by an error or an interrupt, the earlier result stays, and nothing of the new one. Once
        the block has succeeded nothing loses the new one: the next `recover` goes on with it.
        """
        folder = StageFolder(self.path, spec.name)
        with self.lock():
            folder.recover(self._hashes)
            folder.refuse_to_lose()
            inputs = self._input_hashes(spec)
            writer = StageWriter(folder.partial, self._key(spec, inputs))
            started = time.perf_counter()
            try:
                folder.begin()
                yield writer
                if missing := [f for f in spec.makes if not (folder.partial / f).is_file()]:
                    # It would be redone by every run.
                    raise RunDirectoryError(f"stage {spec.name} did not write {', '.join(missing)}")
                self._refuse_changed(spec, inputs)
                folder.end(
                    {
                        "stage": spec.name,
                        "seconds": round(time.perf_counter() - started, 3),
                        "peak_memory_mb": peak_memory_mb(),
                        "metrics": writer.metrics,
                        "seed": seed,
                        "inputs": inputs,
                        "versions": dict(versions()),
                        "config": self._config,
                        "outlived": [str(p.relative_to(self.path)) for p in writer.outlived],
                    }
                )
            except BaseException:
                folder.abandon()
                raise
            folder.complete(self._hashes)

    def _input_hashes(self, spec: StageSpec) -> dict[str, Any]:
        manifests = {name: self.manifest(name) for name in spec.needs}
        stages = {
            name: manifest and spec.read_of(name, manifest["outputs"])
            for name, manifest in manifests.items()
        }
        outside = {named(str(path), path): self._hashes.of_files(path) for path in spec.external}
        return {**stages, **outside}

    def _refuse_changed(self, spec: StageSpec, inputs: Mapping[str, Any]) -> None:
        """What was read must be what is written down as read."""
        now = self._input_hashes(spec)
        for name in spec.needs:
            if inputs[name] is not None and (manifest := self.manifest(name)) is not None:
                self._lost(name, manifest["outputs"])
        for name, before in inputs.items():
            if now[name] != before:
                raise RunDirectoryError(
                    f"{visible(name)} was changed while the stage {spec.name} read it; run the "
                    "same command again"
                )


@dataclass(slots=True)
class StageWriter:
    """Where a running stage puts its files, and the figures it reports.

    `key`: of what its result follows from (`RunDirectory.key`). `outlived`: files of the run's
    directory that are deleted once the stage is complete.
    """

    folder: Path
    key: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    outlived: list[Path] = field(default_factory=list)


def _missing(spec: StageSpec, outputs: Collection[str]) -> list[str]:
    return [file for file in spec.makes if file not in outputs]
