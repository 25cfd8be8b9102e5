"""The law of the house that import-linter does not see (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "w2stree"

# What a function may import of the package, and why.
LATE_IMPORTS = {
    # Names load on first use.
    "__init__.py": {"errors"},
    # A policy's own packages are extras: transformers and torch, openai, vllm.
    "experiment/config/policy.py": {
        "policies.openai", "policies.served.adapters", "policies.transformers", "policies.vllm",
        "training.models",
    },
    # Models are an extra; what an experiment's file may ask, and its table, wait for none.
    "experiment/grid/copies.py": {"experiment.stage_graph", "experiment.stages.context"},
    "experiment/analyses/assumption.py": {"training.implicit_reward", "training.models"},
    # The weak model of a run, where it is to play on.
    "experiment/recorded_player.py": {"policies.transformers", "training.models"},
    # The package is found by the path that the driver sends first.
    "environments/hosting/child.py": {"environments.hosting.serving"},
    # Commands load what they need when they are called: configurations and games are extras, and
    # `w2stree --help` and shell completion wait for nothing but the command line.
    "cli/diff.py": {"trajectories.comparison"},
    "cli/advantages.py": {"formats.agenttraj", "rows.columns", "rows.credit", "rows.rows"},
    "cli/analyse.py": {"experiment.analyses"},
    "cli/experiment.py": {
        *("experiment.grid.local_runner", "experiment.grid.plan", "experiment.grid.ray_runner"),
        *("experiment.grid.results", "experiment.grid.running", "experiment.grid.summary"),
        *("report.grid", "rollouts.cluster.connection"),
    },
    "cli/bisect.py": {"experiment.recorded_player", "forest.flips", "rollouts.bisection"},
    "cli/found_step.py": {"forest.flips"},
    "cli/doctor.py": {"experiment.diagnosis.diagnose"},
    "cli/explore.py": {
        "experiment.config.exploration", "experiment.config.reading",
        "experiment.kept_config", "experiment.listed_actions", "experiment.run_json",
        "rollouts.branching", "rollouts.exploration", "rollouts.task_choice",
        "trajectories.journal", "trajectories.times",
    },
    "cli/export.py": {
        *("experiment.stages.journals", "trajectories.files", "trajectories.journal"),
        *("trajectories.times", "viewer.speedscope", "viewer.timeline"),
    },
    "cli/convert.py": {"formats.reading", "formats.writing", "scale.jobs"},
    "cli/engine.py": {"scale.bucketed", "scale.engine", "scale.ray_engine"},
    "cli/forests.py": {
        *("forest.bucket_manifest", "forest.build", "forest.file", "forest.merging"),
    },
    "cli/executors.py": {
        *("experiment.run_json", "rollouts.executor", "rollouts.cluster.connection"),
        "rollouts.cluster.ray_cluster",
    },
    "cli/inputs.py": {
        *("formats.reader", "formats.reading", "trajectories.files"),
        "trajectories.reading_limits",
    },
    "cli/lint.py": {"forest.merging", "linting.finding", "linting.lint", "rows.row_files"},
    "cli/report.py": {
        "experiment.compared_runs", "experiment.report_again", "report.grid"
    },
    "cli/row_account.py": {"rows.rows", "rows.writing"},
    "cli/rows.py": {
        *("formats.agenttraj", "policies.pretrained", "rows.columns", "rows.judged"),
        *("rows.questions", "rows.rows", "rows.tokenized", "trajectories.returns", "turns.chat"),
        "scale.jobs",
    },
    "cli/run.py": {"experiment.config", "experiment.manifest", "experiment.pipeline"},
    "cli/train.py": {
        *("training.call_settings", "training.model_folder", "training.optimisation"),
        *("training.train_dpo", "training.train_sft"),
    },
    "cli/train_input.py": {
        *("formats.agenttraj", "formats.messages", "rows.conversations"),
        *("rows.row_files", "store.as_files", "store.catalogue", "store.store"),
        "trajectories.returns",
    },
    "cli/train_settings.py": {"experiment.config.yaml_text"},
    "cli/stats.py": {"forest.summary", "rollouts.statistics", "scale.tally"},
    "cli/choice.py": {"store.as_files"},
    "cli/given_paths.py": {"store.as_files"},
    "cli/store.py": {
        *("formats.writing", "store.adding", "store.store", "trajectories.replacing"),
    },
    "cli/tasks.py": {"forest.tasks"},
    "cli/tree.py": {
        *("forest.bucket_forest", "forest.summary", "forest.tasks", "scale.jobs"),
        "scale.totals",
    },
    "cli/worded_forest.py": {"forest.build", "forest.merging", "rows.worded"},
    "cli/view.py": {
        "cli.terminal.app", "cli.terminal.looked_at", "rows.row_files", "viewer", "viewer.page"
    },
    "cli/verify.py": {"experiment.recorded_run", "rollouts.verification"},
}  # fmt: skip


def late_imports(source: str) -> Iterator[str]:
    """Modules of the package that a function imports, by name or by `import_module`."""
    functions = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    for node in (inner for function in functions for inner in ast.walk(function)):
        match node:
            case ast.ImportFrom(module=str(name), level=0):
                names = [name]
            case ast.ImportFrom():  # relative
                names = [f"w2stree.{node.module or '?'}"]
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.Call(args=[ast.Constant(value=str(name)), *_]):
                names = [name] if "import" in ast.unparse(node.func) else []
            case _:
                continue
        yield from (n.removeprefix("w2stree.") for n in names if n.split(".")[0] == "w2stree")


def test_finds_a_late_import() -> None:
    planted = """
def f():
    if True:
        from w2stree.forest import Forest
    import w2stree.cli, numpy
    importlib.import_module("w2stree.report")
    from . import threads
"""
    assert sorted(late_imports(planted)) == ["?", "cli", "forest", "report"]
    assert list(late_imports("from w2stree.forest import Forest\nimport numpy\n")) == []


def test_functions_import_modules_of_the_package_only_as_listed() -> None:
    found = {
        file.relative_to(PACKAGE).as_posix(): set(late_imports(file.read_text(encoding="utf-8")))
        for file in PACKAGE.rglob("*.py")
    }
    assert {file: modules for file, modules in found.items() if modules} == LATE_IMPORTS


def test_few_modules_stand_at_the_top() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 5
