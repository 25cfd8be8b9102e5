"""Folders of Hugging Face's `datasets`: which of their files are the data, and of which split.

    my_runs/dataset_dict.json                {"splits": ["train", "test"]}       save_to_disk
    my_runs/train/state.json                 {"_data_files": [{"filename": "data-00000-of-…"}]}
    my_runs/train/data-00000-of-00001.arrow
    my_runs/train/cache-1f2e3d.arrow         made by a map over them: no data

    their_runs/README.md                     --- front matter ---                the hub's
    their_runs/data/train-00000-of-00002.parquet

Source: datasets 5.2, `Dataset.save_to_disk`, `DatasetDict.save_to_disk`, `data_files.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.shorten import visible
from w2stree.trajectories.json_text import parse_json

DESCRIPTIONS = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
_BESIDE = (
    *DESCRIPTIONS,
    *("readme.md", "license", ".gitattributes", ".gitignore", ".git", ".cache", ".huggingface"),
)
_SHARD = re.compile(r"(\w[\w.-]*?)-\d{5}-of-\d{5}(?:-[0-9a-f]+)?\.\w+")


@dataclass(slots=True)
class DatasetFolders:
    """What is known of the folders that were asked for: their `state.json` is read once."""

    _saved: dict[Path, dict[str, Any] | None] = field(default_factory=dict)

    def is_dataset(self, folder: Path) -> bool:
        return self._state(folder) is not None or self.are_in_folders(folder)

    def are_in_folders(self, root: Path) -> bool:
        """Whether the folder is a data set whose data may stand in folders of it.

        Raises `InvalidInput` where a split that it names is not there.
        """
        splits = (_object(root / "dataset_dict.json") or {}).get("splits")
        if isinstance(splits, list):
            for split in splits:
                if not (root / str(split)).is_dir():
                    raise InvalidInput(
                        f"{visible(str(root / 'dataset_dict.json'))}: names the split "
                        f"{visible(str(split))}, and there is no such folder: copy the whole data "
                        "set"
                    )
            return True
        card = root / "README.md"
        return (root / ".gitattributes").is_file() or (
            card.is_file() and card.read_bytes().startswith((b"---\n", b"---\r\n"))
        )

    def why_not_data(self, file: Path) -> str | None:
        """Why a file of a saved data set is none of its data; None for any other file.

        Raises `InvalidInput` where a file that the data set names is not there.
        """
        state = self._state(file.parent)
        if state is None:
            return None
        if file.name.lower() in DESCRIPTIONS:
            return "describes the data set"
        names = [entry.get("filename") for entry in state["_data_files"]]
        return None if file.name in names else "none of the data that state.json names"

    def split_of(self, file: Path) -> str | None:
        """The split by its name, where the file is of a data set."""
        if (state := self._state(file.parent)) is not None:
            split = state.get("_split")
            return split if isinstance(split, str) else file.parent.name
        match = _SHARD.fullmatch(file.name)
        return match[1] if match else None

    def _state(self, folder: Path) -> dict[str, Any] | None:
        if folder not in self._saved:
            self._saved[folder] = _saved_in(folder)
        return self._saved[folder]


def is_beside(file: Path) -> bool:
    """Whether it is one of the files that every data set has beside its data."""
    return file.name.lower() in _BESIDE


def _saved_in(folder: Path) -> dict[str, Any] | None:
    state = _object(folder / "state.json")
    files = None if state is None else state.get("_data_files")
    if not isinstance(files, list) or not all(isinstance(entry, dict) for entry in files):
        return None
    for entry in files:
        name = entry.get("filename")
        if not isinstance(name, str) or not (folder / name).is_file():
            raise InvalidInput(
                f"{visible(str(folder / 'state.json'))}: names the file {visible(str(name))}, "
                "which is not there: copy the whole data set"
            )
    return state


def _object(file: Path) -> dict[str, Any] | None:
    """An object of JSON; None for what is none, which is somebody else's file of that name."""
    try:
        value = parse_json(file.read_bytes(), str(file)) if file.is_file() else None
    except (InvalidInput, OSError):
        return None
    return value if isinstance(value, dict) else None
