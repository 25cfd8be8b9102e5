"""What a trainer logged of each step: `losses.jsonl` of a stage, a JSON object a line."""

from __future__ import annotations

from pathlib import Path

from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.shorten import visible
from w2stree.trajectories.json_text import parse_json

_FILE = "losses.jsonl"


def logged_steps(stage: Path) -> list[dict[str, float]]:
    """Of a stage's folder, NaN among its figures too; nothing of a stage that trains nothing, and
    of versions before, which did not keep it. Raises `RunDirectoryError` for a line that is none.
    """
    file = stage / _FILE
    if not file.is_file():
        return []
    with file.open(encoding="utf-8") as lines:
        return [_step(line, f"{visible(str(file))}:{i}", stage) for i, line in enumerate(lines, 1)]


def _step(line: str, where: str, stage: Path) -> dict[str, float]:
    remedy = f"put it back from a copy, or redo the stage with --force {visible(stage.name)}"
    try:
        record = parse_json(line, where, with_nan=True)
    except InvalidInput as error:
        raise RunDirectoryError(f"{error}; {remedy}") from None
    if isinstance(record, dict) and all(isinstance(v, int | float) for v in record.values()):
        return record
    raise RunDirectoryError(f"{where}: no step of a training; {remedy}")
