"""What a path holds that can be trained on, told by its content, whatever its name.

{"task_id", "prompt", "steps", …}  a line; a journal; a folder     trajectories
forest.save(…)                                                     a saved forest
{"prompt", "chosen", "rejected"}   JSON lines, Parquet, a data     preference rows
{"messages"}                       set's folder (save_to_disk)     conversations
{"input_ids", "labels"}                                            token rows
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.forest.file import is_forest_file
from w2stree.formats.messages import verdict_in
from w2stree.shorten import quoted, shorten, visible
from w2stree.trajectories.json_lines import LinesAhead
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.lines import read_lines
from w2stree.trajectories.utf8 import decode_utf8

T = TypeVar("T")
Record = Mapping[str, Any]

_PARQUET = b"PAR1"
_FRAME = b"w2s1 "  # of a journal
_BOM = b"\xef\xbb\xbf"
_OF_A_DATASET = ("dataset_info.json", "dataset_dict.json")
_SHOWN_COLUMNS = 120
_SHOWN_BEGIN = 60
EXPECTED = (
    "expected trajectories (task_id, prompt, steps, total_return, status), a saved forest, or rows "
    "as JSON lines or Parquet: prompt, chosen and rejected; messages; or input_ids and labels"
)


class Kind(Enum):
    """What a path holds; the value says it in words."""

    TRAJECTORIES = "trajectories"
    FOREST = "a saved forest"
    PREFERENCES = "preference rows (prompt, chosen, rejected)"
    CONVERSATIONS = "conversations (messages)"
    TOKENS = "token rows (input_ids, labels)"

    @property
    def is_rows(self) -> bool:
        return self not in (Kind.TRAJECTORIES, Kind.FOREST)


@dataclass(frozen=True, slots=True)
class RowFile:
    """Rows, and how each is named in an error: `rows.jsonl:3`, `rows.parquet: row 3`."""

    records: list[Record]
    places: list[str]


def kind_of(path: Path) -> Kind:
    """Looks at the first record, of trajectories no further; `read_rows` reads the rest.

    Raises `InvalidInput` with what is expected where it is nothing of the kind, `OSError`, and
    `MissingDependency` where Parquet needs a package that is not installed.
    """
    if not path.exists():
        raise FileNotFoundError(f"{visible(str(path))}: no such file or directory; {EXPECTED}")
    if path.is_dir() and not _is_dataset(path):
        _refuse_rows_in(path)
        return Kind.TRAJECTORIES
    if path.is_file():
        if is_forest_file(path):
            return Kind.FOREST
        if not _is_parquet(path):
            return _kind_of_lines(path)
    return kind_of_columns(_table(path).column_names, visible(str(path)))


def read_rows(path: Path) -> RowFile:
    """All rows of a path whose kind `is_rows`.

    Raises `InvalidInput` naming file and line where a line is no JSON object, `OSError`.
    """
    if path.is_file() and not _is_parquet(path):
        lines = list(_records(path))
        return RowFile([record for _, record in lines], [place for place, _ in lines])
    records = list(_table(path))
    return RowFile(records, [f"{visible(str(path))}: row {i + 1}" for i in range(len(records))])


def verdict_of(path: Path) -> str | None:
    """Of a path of conversations: the place and the field of the first that says how well it went,
    as runs do; None where they are demonstrations."""
    found = read_rows(path)
    for record, place in zip(found.records, found.places, strict=True):
        if (name := verdict_in(record)) is not None:
            return f"{place} has {name}"
    return None


def runs_or_both_reasons(read: Callable[[], T], why_no_rows: InvalidInput) -> T:
    """What `read` gives; where that is refused too, both reasons."""
    try:
        return read()
    except (InvalidInput, FileNotFoundError) as error:
        raise InvalidInput(f"as runs: {error}; as rows: {why_no_rows}") from None


def parts_of(path: Path) -> list[Path]:
    """The files of a data set's folder as a hub has it, DIR/data/*.parquet; else the path."""
    data = path / "data"
    return sorted(data.glob("*.parquet")) or [path] if data.is_dir() else [path]


def _is_dataset(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _OF_A_DATASET)


def _refuse_rows_in(folder: Path) -> None:
    """A folder that is no data set's is of runs; its first file tells."""
    files = sorted(f for f in folder.iterdir() if f.is_file())
    is_all_parquet = all(f.suffix == ".parquet" for f in files)
    first = next((f for f in files if is_all_parquet or f.suffix == ".jsonl"), None)
    if first is None:
        return
    kind = None
    with suppress(InvalidInput):  # of runs that cannot be read their reader says more
        kind = kind_of(first)
    if kind is not None and kind.is_rows:
        raise InvalidInput(
            f"{visible(str(folder))}: {visible(first.name)} in it has {kind.value}; of rows give "
            "one file, or a folder of save_to_disk"
        )


def _kind_of_lines(path: Path) -> Kind:
    if path.suffix.lower() == ".journal":
        return Kind.TRAJECTORIES
    lines = LinesAhead(read_lines(path))
    number, line = lines.first() or (0, b"")
    where = f"{visible(str(path))}:{number}"
    if not number:
        raise InvalidInput(f"{visible(str(path))}: has no rows; {EXPECTED}")
    if line.lstrip(_BOM).startswith(_FRAME):
        return Kind.TRAJECTORIES
    if not line.lstrip(_BOM + b" \t").startswith(b"{"):
        begin = (
            decode_utf8(line, where) if line[:1] in b"\xff\xfe\0" else line.decode(errors="replace")
        )
        of_array = " (of an array: jq -c '.[]' FILE > NEW.jsonl)" if begin.startswith("[") else ""
        raise InvalidInput(
            f"{where}: {quoted(begin[:_SHOWN_COLUMNS], _SHOWN_BEGIN)} is no JSON object{of_array}; "
            f"{EXPECTED}"
        )
    _, record = next(lines.parsed(visible(str(path)), parse_json, None, helps="mend it"))
    return kind_of_columns(list(record), where)


def kind_of_columns(names: list[str], where: str) -> Kind:
    """By the fields of a record. Raises `InvalidInput`, beginning with `where`, for others."""
    columns = set(names)
    if {"chosen", "rejected"} <= columns:
        return Kind.PREFERENCES
    if {"input_ids", "labels"} <= columns:
        return Kind.TOKENS
    if "messages" in columns:
        return Kind.CONVERSATIONS
    if "steps" in columns:
        return Kind.TRAJECTORIES
    found = shorten(", ".join(map(str, names)) or "none", _SHOWN_COLUMNS)
    raise InvalidInput(f"{where}: not known by its fields ({found}); {EXPECTED}")


def _records(path: Path) -> Iterator[tuple[str, Record]]:
    lines = LinesAhead(read_lines(path))
    for where, record in lines.parsed(visible(str(path)), parse_json, None, helps="mend it"):
        if not isinstance(record, Mapping):
            raise InvalidInput(f"{where}: no JSON object, which a row is")
        yield where, record


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_PARQUET)) == _PARQUET


def _table(path: Path) -> Any:
    """A `datasets.Dataset`, memory-mapped."""
    try:
        import datasets
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"{visible(str(path))} needs {error.name}: pip install 'w2stree[train]'"
        ) from None
    try:
        if path.is_dir():
            found = datasets.load_from_disk(str(path))
        else:
            found = datasets.Dataset(pyarrow.parquet.read_table(path))
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise InvalidInput(f"{visible(str(path))}: cannot be read: {error}") from None
    if not isinstance(found, datasets.Dataset):
        raise InvalidInput(
            f"{visible(str(path))}: has several parts ({', '.join(map(str, found))}); give the "
            "folder of one"
        )
    return found
