"""Where ALFWorld's games are: the official layout, or a compact pack of the same games.

    $ALFWORLD_DATA/                              the official layout (`alfworld-download`)
      json_2.1.1/<split>/<task>/<trial>/game.tw-pddl   domain, grammar, problem, walkthrough

    DIR/                                         the pack
      logic.json                                 the domain and the grammar all games share
      <split>.jsonl.gz                           one game a line: id, task, pddl_problem, gt, …

Both give a game the same id, `<split>/<task>/<trial>`. **Load trusted files only**: TextWorld's
grammar runs `eval` on expressions of the game's grammar.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from w2stree.environments.alfworld.gzip_lines import GzipLines
from w2stree.errors import InvalidInput
from w2stree.trajectories.json_text import parse_json

# The benchmark's own names are taken too. "Seen" are rooms of the train split, "unseen" new ones.
SPLITS = {
    "train": "train",
    "dev": "valid_seen",
    "test": "valid_unseen",
    "valid_seen": "valid_seen",
    "valid_unseen": "valid_unseen",
}
_ID = re.compile(r"(train|valid_seen|valid_unseen)/(\w[\w.-]*)/(\w[\w.-]*)")
# Tasks the text engine does not support, by the benchmark's own rule.
_UNSUPPORTED = ("movable", "Sliced")
_SOLVABLE = re.compile(rb'(?<!\\)"solvable"\s*:\s*true')
_PACK_ID = re.compile(rb'\{"id": "([^"\\]+)"')


@dataclass(frozen=True, slots=True)
class Game:
    """What the engine loads, and the recorded demonstration (commands), where there is one."""

    pddl_domain: str
    grammar: str
    pddl_problem: str
    demonstration: tuple[str, ...] | None


class Games(Protocol):
    """A place with games, read one by one."""

    def ids(self, split: str) -> list[str]:
        """Sorted ids of a split (a key of `SPLITS`)."""

    def game(self, game_id: str) -> Game:
        """Read one game."""


def open_games(data: str | os.PathLike[str] | None = None) -> Games:
    """The games of a directory (default: `$ALFWORLD_DATA`), in either layout.

    Raises `InvalidInput` where it has neither. Reads no game yet.
    """
    place = data or os.environ.get("ALFWORLD_DATA")
    if not place:
        raise InvalidInput(
            "no ALFWorld data: give its directory (`data`) or set ALFWORLD_DATA; "
            "`pip install alfworld && alfworld-download` fetches it"
        )
    root = Path(place)
    if (root / "logic.json").is_file():
        return GamePack(root)
    if (root / "json_2.1.1").is_dir():
        return GameFolders(root / "json_2.1.1")
    raise InvalidInput(
        f"{root}: neither json_2.1.1/ (the official layout) nor logic.json (a pack) is there"
    )


class GameFolders:
    """The official layout. Games marked unsolvable are no tasks, as in the benchmark's loader.

    The game files carry the domain and the grammar themselves, so `logic/` is not read.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def ids(self, split: str) -> list[str]:
        folder = self._root / _official(split)
        files = (
            file
            for file in folder.glob("*/*/game.tw-pddl")
            if not any(word in str(file.relative_to(folder)) for word in _UNSUPPORTED)
        )
        ids = sorted(
            file.parent.relative_to(self._root).as_posix()
            for file in files
            if _SOLVABLE.search(file.read_bytes())
        )
        if not ids:
            raise InvalidInput(f"{folder}: no solvable game.tw-pddl; run alfworld-download")
        return ids

    def game(self, game_id: str) -> Game:
        split, name = _parse(game_id)
        file = self._root / split / name / "game.tw-pddl"
        if not file.is_file():
            raise InvalidInput(f"no game {game_id!r}: {file} is missing")
        record = _record(file.read_bytes(), str(file))
        walkthrough = record.get("walkthrough")
        return Game(
            pddl_domain=_text(record, "pddl_domain", str(file)),
            grammar=_text(record, "grammar", str(file)),
            pddl_problem=_text(record, "pddl_problem", str(file)),
            demonstration=tuple(walkthrough) if walkthrough else None,
        )


class GamePack:
    """The pack. A split's file is gone through once, when first needed; games are not kept."""

    def __init__(self, root: Path) -> None:
        self._root = root
        file = root / "logic.json"
        logic = _record(file.read_bytes(), str(file))
        self._domain = _text(logic, "pddl_domain", str(file))
        self._grammar = _text(logic, "grammar", str(file))
        self._indexes: dict[str, tuple[GzipLines, dict[str, int]]] = {}

    def ids(self, split: str) -> list[str]:
        split = _official(split)
        _, offsets = self._index(split)
        return sorted(f"{split}/{name}" for name in offsets)

    def game(self, game_id: str) -> Game:
        split, name = _parse(game_id)
        lines, offsets = self._index(split)
        if name not in offsets:
            raise InvalidInput(f"no game {game_id!r} in {self._file(split)}")
        where = f"{self._file(split)}: {name}"
        record = _record(lines.line(offsets[name]), where)
        told = record.get("gt")
        return Game(
            pddl_domain=self._domain,
            grammar=self._grammar.replace("{TASK}", _text(record, "task", where)),
            pddl_problem=_text(record, "pddl_problem", where),
            demonstration=tuple(told[1::2]) if told else None,
        )

    def _index(self, split: str) -> tuple[GzipLines, dict[str, int]]:
        if split not in self._indexes:
            file = self._file(split)
            if not file.is_file():
                raise InvalidInput(f"{file} is missing: this pack has no {split} games")
            lines = GzipLines(file)
            offsets = {}
            for number, (offset, line) in enumerate(lines.scan(), start=1):
                match = _PACK_ID.match(line)
                if match is None:
                    raise InvalidInput(f"{file}:{number}: does not begin with the game's id")
                offsets[match[1].decode()] = offset
            self._indexes[split] = lines, offsets
        return self._indexes[split]

    def _file(self, split: str) -> Path:
        return self._root / f"{split}.jsonl.gz"


def _official(split: str) -> str:
    if split not in SPLITS:
        raise InvalidInput(f"split is {split!r}; use one of {', '.join(SPLITS)}")
    return SPLITS[split]


def _parse(game_id: str) -> tuple[str, str]:
    match = _ID.fullmatch(game_id)
    if match is None:
        raise InvalidInput(f"task id {game_id!r}; expected '<split>/<task>/<trial>'")
    return match[1], f"{match[2]}/{match[3]}"


def _record(line: bytes, where: str) -> Mapping[str, Any]:
    record = parse_json(line, where)
    if not isinstance(record, dict):
        raise InvalidInput(f"{where}: {type(record).__name__}; expected an object")
    return record


def _text(record: Mapping[str, Any], key: str, where: str) -> str:
    value = record.get(key)
    if not isinstance(value, str):
        raise InvalidInput(f"{where}: {key} is {type(value).__name__}; expected a string")
    return value
