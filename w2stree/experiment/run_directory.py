"""A run's directory: one folder a finished stage, each with a manifest of how it came about.

runs/quickstart/
  config.json                 the resolved configuration; another one is refused
  demonstrations/
    trajectories.jsonl
    manifest.json             config, versions, seed, inputs' hashes, outputs' hashes, time
  sft_weak/ …
  .sft_strong.partial/        a stage in the making; renamed when it is complete
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from w2stree.environments.kinds import KINDS
from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.replacing import replacing

MANIFEST = "manifest.json"
_PACKAGES = ("w2stree", "numpy", "torch", "transformers", "trl", "peft")


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
    """Opens or creates a run; raises `RunDirectoryError` where another configuration made it.

    A key of `may_change` may differ: the stages that read it are redone, the others stay. `read`:
    as `keep_config` has it.
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
        self._read = read
        keep_config(path, self._config, may_change=may_change, read=read)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process; the lock is the system's and ends with the process."""
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunDirectoryError(
                    f"{self.path} is in use by another run; wait for it, or use another --run-dir"
                ) from None
            yield

    def stage(self, name: str) -> Path:
        """The folder of a stage's result."""
        return self.path / name

    def manifest(self, name: str) -> dict[str, Any] | None:
        """A finished stage's manifest; None where the stage has not finished."""
        file = self.stage(name) / MANIFEST
        if not file.is_file():
            return None
        record = read_json(file)
        if not isinstance(record, dict) or not {"inputs", "outputs"} <= set(record):
            raise RunDirectoryError(f"{file}: not a manifest; delete the folder to redo the stage")
        return record

    def is_current(self, spec: StageSpec) -> bool:
        """Whether the stage has finished on the results its inputs have now and on today's
        settings, and made all that is read of it: an older version may have made less.

        Raises `RunDirectoryError` for a file of it that was changed afterwards.
        """
        manifest = self.manifest(spec.name)
        return (
            manifest is not None
            and manifest["inputs"] == self._input_hashes(spec)
            and not _missing(spec, manifest["outputs"])
            and self._has_its_settings(spec, manifest)
            and self._has_its_files(spec.name, manifest["outputs"])
        )

    def _has_its_files(self, name: str, outputs: Mapping[str, str]) -> bool:
        """Whether all that the stage wrote is there; what was touched since is hashed again."""
        folder = self.stage(name)
        finished = (folder / MANIFEST).stat().st_mtime_ns
        for file, digest in outputs.items():
            path = folder / file
            if not path.is_file():
                return False
            if path.stat().st_mtime_ns > finished and hash_file(path) != digest:
                raise RunDirectoryError(
                    f"{path} is not what the stage {name} wrote: it was changed afterwards. Put "
                    f"it back, or redo the stage with --force {name}"
                )
        return True

    def _has_its_settings(self, spec: StageSpec, manifest: Mapping[str, Any]) -> bool:
        if not spec.reads:
            return True
        try:
            made_with = self._read(manifest["config"])
        except InvalidInput:
            return False
        return all(_at(made_with, key) == _at(self._config, key) for key in spec.reads)

    def discard(self, name: str) -> None:
        """Forget a stage's result; stages that read it are redone if it comes out different."""
        shutil.rmtree(self.stage(name), ignore_errors=True)

    @contextmanager
    def write(self, spec: StageSpec, seed: int) -> Iterator[StageWriter]:
        """Fill a partial folder; it takes the stage's name only when the block succeeds."""
        partial = self.path / f".{spec.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        writer = StageWriter(partial)
        started = time.perf_counter()
        try:
            yield writer
            outputs = hash_files(partial)
            if missing := _missing(spec, outputs):  # it would be redone by every run
                raise RunDirectoryError(f"stage {spec.name} did not write {', '.join(missing)}")
            write_json(
                partial / MANIFEST,
                {
                    "stage": spec.name,
                    "seconds": round(time.perf_counter() - started, 3),
                    "peak_memory_mb": _peak_memory_mb(),
                    "metrics": writer.metrics,
                    "seed": seed,
                    "inputs": self._input_hashes(spec),
                    "outputs": outputs,
                    "versions": _versions(),
                    "config": self._config,
                },
            )
            self.discard(spec.name)
            partial.rename(self.stage(spec.name))
            for path in writer.outlived:
                path.unlink(missing_ok=True)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _input_hashes(self, spec: StageSpec) -> dict[str, Any]:
        manifests = {name: self.manifest(name) for name in spec.needs}
        stages = {name: manifest and manifest["outputs"] for name, manifest in manifests.items()}
        return {**stages, **{str(folder): hash_files(folder) for folder in spec.external}}


@dataclass(slots=True)
class StageWriter:
    """Where a running stage puts its files, and the figures it reports.

    `outlived`: files elsewhere that are deleted once the stage is complete.
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

    `announce(stage, what)` is told of each stage.
    """
    for name in force:
        directory.discard(name)
    for spec, run in stages:
        if directory.is_current(spec):
            announce(spec.name, "done before")
            continue
        announce(spec.name, "running")
        with directory.write(spec, seed) as writer:
            run(writer)
        manifest = directory.manifest(spec.name)
        assert manifest is not None
        announce(spec.name, f"finished in {manifest['seconds']:.0f} s")


def keep_config(
    path: Path,
    config: Mapping[str, Any],
    *,
    may_change: Collection[str] = (),
    read: Callable[[Any], Any] = lambda recorded: recorded,
) -> None:
    """Create a run's folder with `config.json`, or check that it is this configuration's.

    Without results, a finished stage or a recorded episode, an earlier configuration is replaced.
    With results a difference anywhere but
    in the keys of `may_change` ("budget", "environment.num_processes") and below raises
    `RunDirectoryError`, as does a folder with other things in it.

    `read` gives a recorded configuration as it would be recorded today, so that a run of an
    older version is compared by what it says; its `InvalidInput` is the reason to refuse it.
    """
    stored = path / "config.json"
    if stored.is_file():
        if _has_results(path):
            _refuse_other_config(path, _today(stored, read), config, may_change)
    elif path.is_dir() and any(path.iterdir()):
        raise RunDirectoryError(
            f"{path} is not empty and has no config.json: it is not a run directory; "
            "choose another with --run-dir"
        )
    path.mkdir(parents=True, exist_ok=True)
    write_json(stored, config)


def _has_results(path: Path) -> bool:
    """Of any command: one must not take over what another has made."""
    is_played = any(journal.stat().st_size for journal in path.glob("*.journal"))
    return is_played or any(path.glob(f"*/{MANIFEST}"))


def read_json(path: Path) -> Any:
    """The value in a JSON file of a run; `RunDirectoryError` where it is torn."""
    try:
        return parse_json(path.read_bytes(), str(path))
    except InvalidInput as error:
        raise RunDirectoryError(
            f"{error}; put a whole copy of the file back, or use another --run-dir"
        ) from None


def write_json(path: Path, value: Any) -> None:
    """Pretty JSON, all or nothing (`replacing`)."""
    with replacing(path) as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def hash_file(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder but its manifest, by relative path; or of one file."""
    if folder.is_file():
        return {folder.name: hash_file(folder)}
    return {
        str(file.relative_to(folder)): hash_file(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != MANIFEST
    }


def _missing(spec: StageSpec, outputs: Collection[str]) -> list[str]:
    return [file for file in spec.makes if file not in outputs]


def _today(file: Path, read: Callable[[Any], Any]) -> Any:
    recorded = read_json(file)
    try:
        return read(recorded)
    except InvalidInput as error:
        raise RunDirectoryError(
            f"{file} is of another version, whose configuration is not read here "
            f"({'; '.join(str(error).splitlines()[:3])}), or of another command; choose another "
            "--run-dir, or go on with what made it"
        ) from None


def _refuse_other_config(path: Path, stored: Any, given: Any, may_change: Collection[str]) -> None:
    differing = list(_differences(stored, given, may_change))
    if differing:
        raise RunDirectoryError(
            f"{path} was made by another configuration ({'; '.join(differing[:3])}); "
            "choose another --run-dir, or delete this one"
        )


def _differences(
    stored: Any, given: Any, may_change: Collection[str], key: str = ""
) -> Iterator[str]:
    if key in may_change:
        return
    if isinstance(stored, dict) and isinstance(given, dict):
        for name in sorted({*stored, *given}):
            inner = f"{key}.{name}".lstrip(".")
            yield from _differences(stored.get(name), given.get(name), may_change, inner)
    elif stored != given:
        yield f"{key}: {stored!r} there, {given!r} now"


def _at(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = config.get(name) if isinstance(config, dict) else None
    return config


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1)


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in (*_PACKAGES, *(kind.package for kind in KINDS)):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
