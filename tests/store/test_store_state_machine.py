"""Whatever is added, removed and collected, in whatever order: a store is a dict of files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from w2stree.store import Store
from w2stree.store.adding import add
from w2stree.store.store import SEGMENTS, gc, remove

pytest.importorskip("zstandard")

NAMES = st.sampled_from(["a", "b", "c"])
TEXTS = st.sampled_from(
    [
        '"a text that returns again"',
        '"another one, not as often"',
        "{}",
        "\n",
        "\\n",
        "é" * 40,
        "\0",
    ]
)
FILES = st.lists(TEXTS, max_size=12).map(lambda texts: "".join(texts).encode())


class StoreMachine(RuleBasedStateMachine):
    """`ever`: each name with every content it had and has not lost."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.store = self.root / "s"
        self.ever: set[tuple[str, bytes]] = set()

    def teardown(self) -> None:
        self.folder.cleanup()

    def _name(self, name: str) -> str:
        return "/".join(part for part in (self.root / name).parts if part != "/")

    @rule(contents=st.dictionaries(NAMES, FILES, min_size=1))
    def add(self, contents: dict[str, bytes]) -> None:
        for name, data in contents.items():
            (self.root / name).write_bytes(data)
        known = {data for _, data in self.ever}
        outcomes = list(add(self.store, [self.root / n for n in contents], reads=False))
        for outcome, (name, data) in zip(outcomes, contents.items(), strict=True):
            assert outcome.what == ("known" if data in known else "added")
            known.add(data)
            self.ever.add((self._name(name), data))

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        if any(self._name(name) == there for there, _ in self.ever):
            remove(self.store, [self._name(name)])
            self.ever = {(n, data) for n, data in self.ever if n != self._name(name)}

    @rule()
    def collect(self) -> None:
        if self.store.exists():
            gc(self.store)
            if not self.ever:
                assert not list((self.store / SEGMENTS).iterdir())

    @invariant()
    def holds_what_was_added(self) -> None:
        if hasattr(self, "store") and self.store.exists():
            with Store(self.store) as store:
                assert {(s.name, b"".join(store.read(s))) for s in store.sources()} == self.ever


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=20, stateful_step_count=12, deadline=None)
