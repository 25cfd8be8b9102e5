"""What an index and pip are told of the package, and what they are given."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from w2stree.environments.kinds import KINDS

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
OF_A_CLONE = {"bench", "dev", "docs"}


def packages(extra: str) -> set[str]:
    """What an extra brings, those that it names included."""
    found = set()
    for line in EXTRAS[extra]:
        requirement = Requirement(line)
        if requirement.name == PROJECT["name"]:
            found |= set().union(*map(packages, requirement.extras))
        else:
            found.add(canonicalize_name(requirement.name))
    return found


def test_all_is_all() -> None:
    of_users = [extra for extra in EXTRAS if extra not in OF_A_CLONE]
    assert packages("all") == set().union(*map(packages, of_users))


def test_every_extra_that_is_named_is_there() -> None:
    """By a message of the package, by a page, by a kind of environment."""
    named = {kind.extra for kind in KINDS}
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob(".ci/*")]
    for file in (*ROOT.glob("w2stree/**/*.py"), *pages):
        text = file.read_text(encoding="utf-8")
        for several in re.findall(r"(?:w2stree|'\.)\[([a-z,-]+)\]'", text):
            named |= set(several.split(","))
        named |= set(re.findall(r'needs\("([a-z-]+)"\)', text))
    assert {"run", "explore", "train", "zst", "arrow", "openai"} <= named
    assert named <= set(EXTRAS), named - set(EXTRAS)


def test_an_environment_s_extra_brings_its_package() -> None:
    for kind in KINDS:
        assert canonicalize_name(kind.package) in packages(kind.extra), kind.name


def test_classifiers_are_what_is_required_and_built() -> None:
    told = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert told, "no version of Python"
    required = SpecifierSet(PROJECT["requires-python"])
    assert all(required.contains(version) for version in told)
    built = {
        re.sub(r"cp3(\d+)-\*", r"3.\1", name) for name in PYPROJECT["tool"]["cibuildwheel"]["build"]
    }
    assert set(told) <= built
    assert all(required.contains(version) for version in built)


def test_the_citation_is_of_this_version() -> None:
    cited: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["version"], cited["license"]) == (PROJECT["version"], PROJECT["license"])
    heading = rf"^## {re.escape(PROJECT['version'])}\b"
    assert re.search(heading, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_source_distribution_has_what_it_is_built_from(tmp_path: Path) -> None:
    program = (
        "import sys; from scikit_build_core.build import build_sdist; build_sdist(sys.argv[1])"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    kinds = ("cpp/include/**/*.hpp", "cpp/src/**/*", "bindings/*", "w2stree/**/*", "tests/**/*.py")
    needed = {
        file.relative_to(ROOT).as_posix()
        for kind in kinds
        for file in ROOT.glob(kind)
        if file.is_file() and file.suffix not in (".pyc", ".so")
    }
    files = "pyproject.toml CMakeLists.txt README.md LICENSE CHANGELOG.md CITATION.cff PKG-INFO"
    assert needed | set(files.split()) <= names
    assert not [name for name in names if re.search(r"\.(so|pyc|o|a)$|^(build|runs|\.venv)/", name)]
