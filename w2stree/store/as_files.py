"""A store as the files that it holds, for whatever reads files: set down in a folder."""

from __future__ import annotations

from pathlib import Path

from w2stree.store.store import Store


def set_down(store: Path, folder: Path) -> list[Path]:
    """Write the newest source of each name that has runs, or was not read, into the folder; the
    files. Raises `StoreError` for damage; `OSError`. Cost: the bytes, once to the disk."""
    with Store(store) as opened:
        sources = [s for s in opened.sources() if s.is_newest and s.num_runs != 0]
        return opened.export(folder, sources)
