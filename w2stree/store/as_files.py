"""A store as the files that it holds, for whatever reads files: set down in a folder.

all                 every file of the store that lies in all/
all/logs/a.jsonl    the one that was added by the name logs/a.jsonl
"""

from __future__ import annotations

from pathlib import Path

from w2stree.store.catalogue import is_store
from w2stree.store.store import Store


def stored_at(path: str) -> tuple[Path, str | None] | None:
    """The store that lies at a path, or the one that it leads into, and the name in that one; None
    where it is a path like any other."""
    whole = Path(path)
    if is_store(whole):
        return whole, None
    if whole.exists():
        return None
    stores = (parent for parent in whole.parents if is_store(parent))
    return next(((store, whole.relative_to(store).as_posix()) for store in stores), None)


class StoredFiles:
    """Which paths lead to files that stores hold; each store is opened once."""

    def __init__(self) -> None:
        self._names: dict[Path, frozenset[str]] = {}

    def __contains__(self, path: str) -> bool:
        match stored_at(path):
            case (store, str(name)):
                return name in self._names_in(store)
        return False

    def _names_in(self, store: Path) -> frozenset[str]:
        if store not in self._names:
            with Store(store) as opened:
                self._names[store] = frozenset(source.name for source in opened.sources())
        return self._names[store]


def set_down(store: Path, folder: Path, name: str | None = None) -> list[Path]:
    """Write the newest source of that name into the folder, or of each name that has runs, or was
    not read; the files. Raises `InvalidInput` for a name that the store has not, `StoreError` for
    damage; `OSError`. Cost: the bytes, once to the disk."""
    with Store(store) as opened:
        if name is not None:
            return opened.export(folder, [opened.source(name)])
        sources = [s for s in opened.sources() if s.is_newest and s.num_runs != 0]
        return opened.export(folder, sources)
