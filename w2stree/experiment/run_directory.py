"""A run's directory: one folder a finished stage, each with a manifest of how it came about.

runs/quickstart/
  config.json                 the resolved configuration; another one is refused (`kept_config`)
  demonstrations/
    trajectories.jsonl
    manifest.json             config, versions, seed, inputs' hashes, outputs' hashes, time
  sft_weak/ …                 a folder, or a link to one
  .sft_strong.partial/        a stage in the making; renamed when it is complete (`stage_folder`)
  .lock                       of the process that runs it (`run_lock`)
  .hashes.json                what need not be read again to know its hash (`hashes`)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.experiment.hashes import KEPT, Hashes, absence, named
from w2stree.experiment.kept_config import held_run
from w2stree.experiment.manifest import other_versions, peak_memory_mb, read_manifest, versions
from w2stree.experiment.stage_folder import StageFolder
from w2stree.shorten import visible


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A named step of a run: the stages whose results it reads, the files it makes (paths in its
    folder; it may make others too), the other folders and files it reads, and which of the
    configuration's keys that may change (`RunDirectory`) it depends on."""

    name: str
    needs: tuple[str, ...]
    makes: tuple[str, ...] = ()
    external: tuple[Path, ...] = ()
    reads: tuple[str, ...] = ()


class RunDirectory:
    """Opens or creates a run; raises `RunDirectoryError` where another configuration made it, and
    where another process is in it.

    A key of `may_change` may differ: the stages that read it are redone, the others stay. `read`:
    as `held_run` has it.
    """

    def __init__(
        self,
        path: Path,
        config: Mapping[str, Any],
        *,
        may_change: Collection[str] = (),
        read: Callable[[Any], Any] = lambda c: c,
    ) -> None:
        self.path = path
        self._config = dict(config)
        self._may_change = may_change
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
        with held_run(self.path, self._config, may_change=self._may_change, read=self._read):
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
        """Whether the stage has finished on the results its inputs have now and on today's
        settings, made all that is read of it (an older version may have made less), and still has
        every file as it wrote it.

        Raises `RunDirectoryError` naming a file that was changed afterwards, a file that the
        stage did not write, and a link that leads nowhere.
        """
        folder = self.stage(spec.name)
        if folder.is_symlink() and not folder.exists():
            raise RunDirectoryError(
                f"{visible(str(folder))}: {absence(folder)}; bring the stage {spec.name} back to "
                f"where the link leads, or redo it with --force {spec.name}"
            )
        manifest = self.manifest(spec.name)
        return (
            manifest is not None
            and manifest["inputs"] == self._input_hashes(spec)
            and not _missing(spec, manifest["outputs"])
            and self._has_its_settings(spec, manifest)
            and self._has_its_files(spec.name, manifest["outputs"])
        )

    def _has_its_files(self, name: str, outputs: Mapping[str, str]) -> bool:
        """Whether all that the stage wrote is there, and is that, and is all."""
        folder = self.stage(name)
        is_whole = True
        for file, digest in outputs.items():
            path = folder / file
            if not path.is_file():
                is_whole = False
            elif self._hashes.of_file(path) != digest:
                raise RunDirectoryError(
                    f"{visible(str(path))} is not what the stage {name} wrote: it was changed "
                    f"afterwards. Put it back, or redo the stage with --force {name}"
                )
        StageFolder(self.path, name).refuse_others(outputs)
        return is_whole

    def _has_its_settings(self, spec: StageSpec, manifest: Mapping[str, Any]) -> bool:
        if not spec.reads:
            return True
        try:
            made_with = self._read(manifest["config"])
        except (InvalidInput, KeyError):
            return False
        return all(_at(made_with, key) == _at(self._config, key) for key in spec.reads)

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
            writer = StageWriter(folder.partial)
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
        stages = {name: manifest and manifest["outputs"] for name, manifest in manifests.items()}
        outside = {named(str(path), path): self._hashes.of_files(path) for path in spec.external}
        return {**stages, **outside}

    def _refuse_changed(self, spec: StageSpec, inputs: Mapping[str, Any]) -> None:
        """What was read must be what is written down as read."""
        now = self._input_hashes(spec)
        for name in spec.needs:
            if inputs[name] is not None:
                self._has_its_files(name, inputs[name])
        for name, before in inputs.items():
            if now[name] != before:
                raise RunDirectoryError(
                    f"{visible(name)} was changed while the stage {spec.name} read it; run the "
                    "same command again"
                )


@dataclass(slots=True)
class StageWriter:
    """Where a running stage puts its files, and the figures it reports.

    `outlived`: files of the run's directory that are deleted once the stage is complete.
    """

    folder: Path
    metrics: dict[str, Any]
    outlived: list[Path]

    def __init__(self, folder: Path) -> None:
        self.folder, self.metrics, self.outlived = folder, {}, []


def run_stages(
    directory: RunDirectory,
    stages: Sequence[tuple[StageSpec, Callable[[StageWriter], None]]],
    *,
    seed: int,
    force: Sequence[str] = (),
    announce: Callable[[str, str], None],
) -> None:
    """Run in order what is missing or out of date; `force`d stages are redone.

    `announce(stage, what)` is told of each stage. Earlier results stay until new ones are whole.
    """
    with directory.lock():
        directory.recover(spec for spec, _ in stages)
        for spec, run in stages:
            if spec.name not in force and directory.is_current(spec):
                manifest = directory.manifest(spec.name)
                other = other_versions(manifest or {})
                announce(spec.name, f"done before{f', with {other}' if other else ''}")
                continue
            announce(spec.name, "running")
            folder = directory.stage(spec.name)
            link = folder.readlink() if folder.is_symlink() else None
            with directory.write(spec, seed) as writer:
                run(writer)
            manifest = directory.manifest(spec.name)
            assert manifest is not None
            done = f"finished in {manifest['seconds']:.0f} s"
            announce(spec.name, f"{done}; {visible(str(link))} stays as it was" if link else done)


def _missing(spec: StageSpec, outputs: Collection[str]) -> list[str]:
    return [file for file in spec.makes if file not in outputs]


def _at(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = config.get(name) if isinstance(config, dict) else None
    return config
