"""A run of three small stages."""

from __future__ import annotations

from pathlib import Path

from w2stree.experiment.run_directory import RunDirectory, StageSpec, StageWriter
from w2stree.experiment.running import run_stages


class Kitchen:
    """Three stages, a -> b -> c, that count how often they run."""

    def __init__(self, path: Path) -> None:
        self.directory = RunDirectory(path, {"seed": 1})
        self.ran: list[str] = []
        self.content = "same"
        self.breaks = ""

    def run(self, *force: str) -> list[str]:
        self.ran = []
        stages = [
            (StageSpec("a", ()), self._stage("a")),
            (StageSpec("b", ("a",)), self._stage("b")),
            (StageSpec("c", ("b",)), self._stage("c")),
        ]
        run_stages(self.directory, stages, seed=1, force=force, announce=lambda *_: None)
        return self.ran

    def _stage(self, name: str):  # type: ignore[no-untyped-def]
        def stage(out: StageWriter) -> None:
            self.ran.append(name)
            (out.folder / "result.txt").write_text(f"{name} {self.content}")
            out.metrics["num_results"] = 1
            if name == self.breaks:
                raise KeyboardInterrupt

        return stage
