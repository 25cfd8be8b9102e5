"""The stub says what the core takes: stubtest sees pybind11's names, but not its parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import w2stree
from w2stree import _core

STUB = Path(w2stree.__file__).with_name("_core.pyi")


def parameters(function: ast.FunctionDef) -> list[tuple[str, str | None]]:
    """Name and default of each, in order; `self` left out."""
    named = function.args.posonlyargs + function.args.args
    defaults = [ast.unparse(default) for default in function.args.defaults]
    padded = [None] * (len(named) - len(defaults)) + defaults
    by_keyword = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    pairs = [(arg.arg, default) for arg, default in zip(named, padded, strict=True)]
    pairs += [(arg.arg, default and ast.unparse(default)) for arg, default in by_keyword]
    return [pair for pair in pairs if pair[0] != "self"]


def functions(body: list[ast.stmt], owner: Any, prefix: str = "") -> Iterator[Any]:
    """Name, the stub's definition and the core's own of every function and method."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from functions(node.body, getattr(owner, node.name), f"{node.name}.")
        elif isinstance(node, ast.FunctionDef) and not node.decorator_list:
            yield pytest.param(node, getattr(owner, node.name), id=f"{prefix}{node.name}")


STUBBED = list(functions(ast.parse(STUB.read_text("utf-8")).body, _core))


def bound(function: Any) -> list[tuple[str, str | None]]:
    """The parameters pybind11 writes down in the first line of the docstring."""
    signature = function.__doc__.splitlines()[0].replace("::", ".")  # a class bound after it
    (parsed,) = ast.parse(f"def {signature}: ...").body
    assert isinstance(parsed, ast.FunctionDef)
    return parameters(parsed)


@pytest.mark.parametrize(("stub", "function"), STUBBED)
def test_parameters_and_defaults_are_the_core_s(stub: ast.FunctionDef, function: Any) -> None:
    assert parameters(stub) == bound(function)


def test_a_wrong_signature_is_found() -> None:
    right = "def xxh64(data: Buffer, seed: int = 0) -> int: ..."
    for wrong in (right.replace("seed", "sed"), right.replace("0", "1"), right.replace(" = 0", "")):
        (stub,) = ast.parse(wrong).body
        assert isinstance(stub, ast.FunctionDef)
        assert parameters(stub) != bound(_core.xxh64)
