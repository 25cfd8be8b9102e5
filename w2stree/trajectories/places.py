"""Where each of many trajectories stands, told when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Places(Sequence[str]):
    """`runs.jsonl:3`: `form` takes the file and the number there. Arrays are by trajectory."""

    files: Sequence[Path]
    file: NDArray[np.int64]
    number: NDArray[np.int64]
    form: str

    def __len__(self) -> int:
        return len(self.number)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.form.format(self.files[self.file[index]], self.number[index])

    def select(self, is_kept: NDArray[np.bool_]) -> Places:
        return Places(self.files, self.file[is_kept], self.number[is_kept], self.form)

    def num_by_file(self) -> dict[Path, int]:
        """How many each file has."""
        counts = np.bincount(self.file, minlength=len(self.files))
        return dict(zip(self.files, counts.tolist(), strict=True))
