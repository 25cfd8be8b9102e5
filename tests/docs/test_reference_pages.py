"""The pages that are written from the code, or have to name all of it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from support.doc_pages import DOCS, ROOT

import w2stree
from w2stree import errors


def sections(page: str) -> dict[str, str]:
    pieces = re.split(r"^### (\w+)\n", (DOCS / page).read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def test_every_error_has_its_cause_and_cure() -> None:
    told = sections("errors.md")
    assert sorted(told) == sorted(errors.__all__)
    for name, text in told.items():
        kind = getattr(errors, name)
        if issubclass(kind, errors.Error):
            first = text.partition(".")[0]
            assert first.startswith(f"\nExit status {kind.exit_status}"), name
            for base in set(kind.__bases__) - {errors.Error, Exception}:
                assert f"`{base.__name__}`" in first, name


def test_the_configuration_s_keys_are_those_of_its_sections() -> None:
    pytest.importorskip("pydantic")
    checked = subprocess.run(
        [sys.executable, ROOT / ".ci" / "config-docs", "--check"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def test_every_public_name_is_in_the_reference() -> None:
    page = (DOCS / "api.md").read_text("utf-8")
    told = re.findall(r"^\.\. auto(?:class|function):: (\w+)$", page, re.MULTILINE)
    in_errors = {"Error", "IdenticalTrajectories", "InvalidInput", "__version__"}
    assert sorted([*told, *in_errors]) == sorted(w2stree.__all__)
