"""A run of three small stages, and what must hold of it whatever was done to it.

outside/ ──┐
a ─────────┴─> b ──> c        each writes result.txt and model/weights.bin
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2stree.experiment.hashes import hash_files
from w2stree.experiment.manifest import read_manifest
from w2stree.experiment.run_directory import RunDirectory, StageSpec, StageWriter
from w2stree.experiment.running import run_stages
from w2stree.experiment.shared_runs import SharedRuns

NAMES = ("a", "b", "c")
_MAKES = ("result.txt", "model/weights.bin")

# Who holds the run, and what need not be read again: no part of what was made.
_ASIDE = {".lock", ".hashes.json"}


@dataclass(slots=True)
class SmallRun:
    """`taste` is what `a` writes; `ran` are the stages that ran in the last `go`; `b` writes a
    file of `extra_name` too; `before_end` is told a stage's folder before the stage ends;
    `runs` is the folder of runs to take stages from."""

    path: Path
    outside: Path
    taste: str = "plain"
    config: dict[str, Any] = field(default_factory=lambda: {"seed": 1})
    ran: list[str] = field(default_factory=list)
    extra_name: bytes = b""
    before_end: Callable[[Path], object] | None = None
    runs: Path | None = None

    @classmethod
    def make(cls, folder: Path) -> SmallRun:
        """A finished one, with what it reads outside beside it."""
        small = cls(folder / "run", folder / "outside")
        small.outside.mkdir(parents=True)
        (small.outside / "vocabulary").write_text("yes no")
        small.go()
        return small

    def specs(self) -> list[StageSpec]:
        needs = {"a": (), "b": ("a",), "c": ("b",)}
        outside = {"b": (self.outside,)}
        return [StageSpec(n, needs[n], _MAKES, outside.get(n, ())) for n in NAMES]

    def go(self, force: Sequence[str] = ()) -> str:
        """Run what is missing or out of date; the names of the stages that ran, together."""
        self.ran = []
        stages = [(spec, self._stage) for spec in self.specs()]
        directory = RunDirectory(self.path, self.config)
        shared = None if self.runs is None else SharedRuns(self.runs)
        run_stages(directory, stages, seed=1, force=force, announce=lambda *_: None, shared=shared)
        return "".join(self.ran)

    def recover(self) -> None:
        RunDirectory(self.path, self.config).recover(self.specs())

    def _stage(self, out: StageWriter) -> None:
        name = out.folder.name.split(".")[1]
        self.ran.append(name)
        (out.folder / "result.txt").write_text(self._taste_of(name))
        (out.folder / "model").mkdir()
        (out.folder / "model" / "weights.bin").write_text(f"weights of {self._taste_of(name)}")
        if self.before_end is not None:
            self.before_end(out.folder)
        if self.extra_name and name == "b":
            descriptor = os.open(bytes(out.folder / "model") + b"/" + self.extra_name, os.O_CREAT)
            os.close(descriptor)

    def _taste_of(self, name: str) -> str:
        if name == "a":
            return f"a {self.taste}"
        read = (self.path / {"b": "a", "c": "b"}[name] / "result.txt").read_text()
        shown = (self.outside / "vocabulary").read_text() if name == "b" else ""
        return f"{name} [{read}]{shown}"

    def is_right(self) -> bool:
        """Whether every stage holds what follows from what it reads, and its manifest says so,
        and nothing lies about."""
        for name in NAMES:
            if (self.path / name / "result.txt").read_text() != self._taste_of(name):
                return False
            if self._claimed(name) != set(_MAKES):
                return False
        hidden = {p.name for p in self.path.iterdir() if p.name.startswith(".")} - _ASIDE
        return not hidden and all(self.is_whole(name) for name in NAMES)

    def _claimed(self, name: str) -> set[str]:
        """What the manifest says that the stage made, the extra file aside: nothing that a killed
        process left beside it."""
        manifest = read_manifest(self.path / name, name)
        outputs = set() if manifest is None else set(manifest["outputs"])
        return outputs - {f"model/{os.fsdecode(self.extra_name)}"}

    def is_whole(self, name: str) -> bool:
        """Whether a result stands under its name, with all that its manifest says."""
        folder = self.path / name
        manifest = read_manifest(folder, name) if folder.is_dir() else None
        return manifest is not None and manifest["outputs"] == _listed(folder, manifest["outputs"])

    def contents(self) -> dict[str, tuple[Any, ...]]:
        """Everything in the run directory and outside it, by path: type, bytes or where a link
        leads."""
        return {**snapshot(self.path), **snapshot(self.outside)}


def _listed(folder: Path, outputs: dict[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in hash_files(folder).items() if name in outputs}


def snapshot(folder: Path) -> dict[str, tuple[Any, ...]]:
    """What is below a folder, links not followed."""
    found: dict[str, tuple[Any, ...]] = {}
    if not os.path.lexists(folder):
        return found
    pending = [folder]
    while pending:
        path = pending.pop()
        if path.name in _ASIDE:
            continue
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            found[str(path)] = ("link", str(path.readlink()))
        elif stat.S_ISDIR(mode):
            found[str(path)] = ("folder",)
            pending.extend(list(path.iterdir()))
        elif stat.S_ISREG(mode):
            found[str(path)] = ("file", path.read_bytes())
        else:
            found[str(path)] = ("other", stat.S_IFMT(mode))
    return found
