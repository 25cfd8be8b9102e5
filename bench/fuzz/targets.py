"""The readers that are fuzzed: each takes bytes, as a file's or an argument's, and may refuse them
by a typed error; anything else it raises is a fault, and so is what does not survive being written
and read again.
"""

from __future__ import annotations

import atexit
import gzip
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path

from w2stree.errors import Error
from w2stree.experiment.config import load_config
from w2stree.experiment.config.exploration import ExplorationConfig
from w2stree.experiment.config.reading import read_config, recorded_today
from w2stree.experiment.config.yaml_text import parse_yaml
from w2stree.experiment.recorded_run import read_run
from w2stree.experiment.run_json import read_json
from w2stree.trajectories.files import read_files, read_trajectories
from w2stree.trajectories.frames import encode_frame
from w2stree.trajectories.journal import read_journal
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.tool_call import ToolCall, action_of
from w2stree.trajectories.trajectory import Message, Step, Trajectory

Target = Callable[[bytes], None]


def lines(data: bytes) -> None:
    """A file of JSON lines, as it is or packed."""
    for trajectory in read_files(_file("a.jsonl", data)).trajectories:
        _survives(trajectory)


def packed_lines(data: bytes) -> None:
    """What a packed file holds; its own bytes are `lines`'."""
    lines(gzip.compress(data, 0))


def journal(data: bytes) -> None:
    """A journal, read as a log and salvaged."""
    file = _file("a.journal", data)
    for trajectory in read_journal(file, salvage=True).trajectories:
        _survives(trajectory)
    read_trajectories(file)


def frames(data: bytes) -> None:
    """A journal whose frames check, of payloads that are anything."""
    journal(b"".join(encode_frame(payload) for payload in data.split(b"\n")))


def json(data: bytes) -> None:
    parse_json(data, "x")


def yaml(data: bytes) -> None:
    parse_yaml(data, "x")


def experiment(data: bytes) -> None:
    """The configuration of `w2stree run`."""
    config = load_config(_file("run.yaml", data))
    assert recorded_today(config)(config.model_dump(mode="json")) == config.model_dump(mode="json")


def exploration(data: bytes) -> None:
    """The configuration of `w2stree explore`."""
    read_config(ExplorationConfig, _file("explore.yaml", data))


def override(data: bytes) -> None:
    """Arguments `key.path=value`, as the system gives them: bytes that are no UTF-8 are halves."""
    load_config("miniature", [os.fsdecode(part) for part in data.replace(b"\0", b"").split(b"\n")])


def recorded(data: bytes) -> None:
    """The config.json of a run that somebody sent."""
    folder = _file("run/config.json", data).parent
    (folder / "trajectories.jsonl").write_text(_run().to_json() + "\n", encoding="utf-8")
    read_run(folder)


def manifest(data: bytes) -> None:
    read_json(_file("manifest.json", data))


TARGETS: Mapping[str, Target] = {
    target.__name__: target
    for target in (
        lines, packed_lines, journal, frames, json, yaml,
        experiment, exploration, override, recorded, manifest,
    )
}  # fmt: skip


def run(target: Target, data: bytes) -> bool:
    """Whether it was read; a typed error is a refusal, anything else comes out of here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            target(data)
        except Error as error:
            str(error).encode()  # what is printed has no halves of characters
            return False
    return True


def seeds(name: str) -> list[bytes]:
    """Inputs that are read, and some that nearly are, to begin from."""
    line = _run().to_json().encode() + b"\n"
    old = (
        b'{"task_id":"t","prompt":[],"steps":[],"total_return":1,"status":"done","info":{"seed":1}}'
    )
    match name:
        case "lines" | "packed_lines":
            return [
                line,
                b"\xef\xbb\xbf" + line * 2,
                old,
                line.decode().encode("utf-16"),
                line[:90],
            ]
        case "journal":
            return [encode_frame(line[:-1]), encode_frame(line[:-1])[:-9], encode_frame(old) * 2]
        case "frames":
            return [line[:-1], old]
        case "json" | "manifest":
            return [line, b'{"a":[1,-2.5e-3,true,null,"\\ud83d"],"b":{}}', b"[NaN]"]
        case "override":
            return [b"seed=5\nsearch.exploration=.5", b"weak.sft={num_epochs: 1}", b"name=\xff"]
        case "yaml":
            return [
                *_shipped(),
                b"a: &x {k: 1}\nb: {<<: *x, k: [*x, 2026-01-01]}",
                b"a: !!int 0x1f",
            ]
        case "recorded":
            environment = b'{"name":"textworld_express","game":"cookingworld"}'
            return [b'{"environment":%b,"prompt":{"thought":true}}' % environment]
        case _:
            return _shipped()


def _shipped() -> list[bytes]:
    folder = resources.files("w2stree.experiment") / "configs"
    nested = [*folder.iterdir(), *(folder / "explorations").iterdir()]
    return [file.read_bytes() for file in nested if file.name.endswith(".yaml")]


def _survives(trajectory: Trajectory) -> None:
    assert Trajectory.from_json(trajectory.to_json()) == trajectory


def _run() -> Trajectory:
    call = ToolCall("go", '{"to":"north"}', "c1")
    steps = (
        Step("take knife", "Taken. 🪙", "Action: take knife", (1, 2), (-0.5, -1.0), 0.25),
        Step(action_of((call,)), "caf\ud83d", tool_calls=(call,), is_cut=True),
    )
    origin = Origin(sample_index=0, seed=7, policy="random", temperature=0.7)
    return Trajectory(
        "t/1", (Message("user", "Cook."),), steps, 0.25, "truncated", origin, {"note": [1, None]}
    )


def _file(name: str, data: bytes) -> Path:
    file = _folder() / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    return file


@cache
def _folder() -> Path:
    """In memory where the system has that: each input is a file."""
    shared = Path("/dev/shm")
    folder = tempfile.TemporaryDirectory(
        prefix="w2stree-fuzz-", dir=shared if os.access(shared, os.W_OK) else None
    )
    atexit.register(folder.cleanup)
    return Path(folder.name)
