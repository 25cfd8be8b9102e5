"""A data set of Hugging Face's: Parquet by split, and a card that says what is in it.

DIR/ README.md                    columns, counts, the trainer's settings
     data/train.parquet           rows
     data/test.parquet            rows of the tasks held out, where there are any
     dataset_info.json            for LLaMA-Factory alone
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from w2stree.errors import InvalidInput
from w2stree.rows.columns import Kind, Type
from w2stree.rows.presets import KINDS, Layout
from w2stree.shorten import visible
from w2stree.trajectories.replacing import permissions_at, sync_directory


@dataclass(frozen=True, slots=True)
class Contents:
    """What a table is of."""

    trainer: str
    kind: Kind
    layout: Layout
    has_tool_calls: bool


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """A hidden folder to fill, which becomes `folder` when the block ends, and is removed by an
    error. Raises `InvalidInput` where `folder` holds something."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput(f"{visible(str(folder))}: holds something; give a new folder's name")
    partial = folder.parent / f".{folder.name}.{secrets.token_hex(8)}.partial"
    (partial / "data").mkdir(parents=True)
    try:
        yield partial
        if (permissions := permissions_at(folder)) is not None:
            partial.chmod(permissions)
            folder.rmdir()
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_directory(folder.parent)


def describe(folder: Path, contents: Contents, num_rows: Mapping[str, int]) -> None:
    """Write the card of the splits, and what LLaMA-Factory asks for."""
    card = _card(contents, num_rows, _digest(folder, num_rows))
    (folder / "README.md").write_text(card, encoding="utf-8")
    if contents.layout.dataset_info is not None:
        info = {
            f"w2stree_{split}": {
                "file_name": f"data/{split}.parquet",
                **contents.layout.dataset_info,
            }
            for split in num_rows
        }
        text = json.dumps(info, indent=2) + "\n"
        (folder / "dataset_info.json").write_text(text, encoding="utf-8")


def _digest(folder: Path, splits: Iterable[str]) -> str:
    """Of the rows. `datasets` keeps what it has read under the folder's name and its card's head,
    and shows it again for another folder where both are equal: so the head names the rows."""
    digest = hashlib.sha256()
    for split in splits:
        with (folder / "data" / f"{split}.parquet").open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _card(contents: Contents, num_rows: Mapping[str, int], digest: str) -> str:
    files = "\n".join(f"  - split: {split}\n    path: data/{split}.parquet" for split in num_rows)
    counts = "\n".join(f"| {split} | {count:,} |" for split, count in num_rows.items())
    columns = "\n".join(
        f"| `{column.name}` | {in_words(column.type)} |"
        for column in contents.layout.columns(contents.kind)
    )
    return f"""---
configs:
- config_name: default
  data_files:
{files}
dataset_info:
  config_name: default
  description: rows of the digest {digest}
tags:
- w2stree
- {contents.kind.replace("_", "-")}
---

# {KINDS[contents.kind].capitalize()}

Made by w2stree from runs of an agent, in the layout of {contents.trainer}:

    {contents.layout.use(file="THIS_FOLDER/data/train.parquet", folder="THIS_FOLDER")}

| split | rows |
|---|---|
{counts}

Tasks are in one split each: those that ask the same are one task.

| column | holds |
|---|---|
{columns}
"""


def in_words(type_: Type) -> str:
    """What a column holds."""
    if isinstance(type_, Mapping):
        return "{" + ", ".join(f"{name}: {in_words(of)}" for name, of in type_.items()) + "}"
    return {
        "messages": "chat messages (role, content)",
        "message": "one chat message (role, content)",
        "text": "a text",
        "texts": "texts",
        "integer": "a whole number",
        "integers": "whole numbers",
        "number": "a number",
        "numbers": "numbers",
        "truth": "true or false",
    }[type_]
