"""The law of the house that import-linter does not see (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "w2stree"

# Where a function may import a module of the package, and why.
LATE_IMPORTS = {
    "__init__.py": "names load on first use",
    "experiment/config/policy.py": "a policy's own packages (torch, openai, vllm) are extras",
    "cli/explore.py": "needs the extra `explore`",
    "cli/run.py": "needs the extra `all`; mistakes in the configuration show before torch loads",
    "cli/tree.py": "needs NumPy, which `w2stree --help` and shell completion need not wait for",
    "cli/verify.py": "needs the extra `explore`",
}


def late_imports(source: str) -> Iterator[int]:
    """Lines on which a function imports a module of the package."""
    functions = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    for node in (inner for function in functions for inner in ast.walk(function)):
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "w2stree" if not node.level else "w2stree"]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        if any(name.partition(".")[0] == "w2stree" for name in names):
            yield node.lineno


def test_finds_a_late_import() -> None:
    planted = (
        "def f():\n    if True:\n        from w2stree.forest import Forest\n    import w2stree.x\n"
    )
    assert sorted(set(late_imports(planted))) == [3, 4]
    assert list(late_imports("from w2stree.forest import Forest\nimport numpy\n")) == []


def test_no_function_imports_a_module_of_the_package() -> None:
    found = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if any(late_imports(file.read_text(encoding="utf-8")))
    }
    assert found == set(LATE_IMPORTS)


def test_few_modules_stand_at_the_top() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 5
