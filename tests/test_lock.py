"""The locked development environment: every package by hash, all that pyproject asks for in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")


def locked() -> list[tuple[Requirement, str]]:
    """Each pinned package and the hashes that follow it."""
    pieces = re.split(r"^(?=[a-zA-Z0-9])", LOCK, flags=re.MULTILINE)[1:]
    return [(Requirement(p.partition(" \\\n")[0]), p.partition(" \\\n")[2]) for p in pieces]


def wanted() -> Iterator[Requirement]:
    """What `pip install w2stree[dev]` asks for, and the constraints."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras, pending = project["optional-dependencies"], ["dev"]
    yield from map(Requirement, project["dependencies"])
    while pending:
        for line in extras[pending.pop()]:
            requirement = Requirement(line)
            if requirement.name == project["name"]:
                pending += requirement.extras
            else:
                yield requirement
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    yield from (Requirement(line) for line in constraints if not line.startswith("#"))


def test_every_package_is_pinned_with_its_hashes() -> None:
    assert len(locked()) > 80
    for requirement, hashes in locked():
        assert [s.operator for s in requirement.specifier] == ["=="], requirement
        assert re.search(r"^    --hash=sha256:[0-9a-f]{64}", hashes, re.MULTILINE), requirement


def test_the_lock_has_what_the_project_asks_for() -> None:
    """`make lock` after a change of pyproject.toml or constraints.txt."""
    pins = {canonicalize_name(r.name): [] for r, _ in locked()}
    for requirement, _ in locked():
        (pin,) = requirement.specifier
        pins[canonicalize_name(requirement.name)].append(pin.version)
    for requirement in wanted():
        versions = pins.get(canonicalize_name(requirement.name))
        assert versions, f"{requirement} is not locked"
        assert all(requirement.specifier.contains(v) for v in versions), (requirement, versions)


def test_it_names_no_index_and_no_folder() -> None:
    assert not re.search(r"://|--index|--find-links|@ |^-|(^|\s)/", LOCK, re.MULTILINE)
