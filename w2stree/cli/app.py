"""The command line: the door, and what every command ends with."""

from __future__ import annotations

import io
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

import w2stree
from w2stree.cli import analyse, envs, export, store, train
from w2stree.cli.advantages import advantages
from w2stree.cli.bisect import bisect
from w2stree.cli.convert import convert
from w2stree.cli.diff import diff
from w2stree.cli.doctor import doctor
from w2stree.cli.examples import add_examples
from w2stree.cli.experiment import experiment
from w2stree.cli.explore import explore
from w2stree.cli.lint import lint
from w2stree.cli.report import report
from w2stree.cli.rows import pairs, paths
from w2stree.cli.run import run
from w2stree.cli.say import say, warn
from w2stree.cli.show import show
from w2stree.cli.stats import stats
from w2stree.cli.tasks import tasks
from w2stree.cli.tree import tree
from w2stree.cli.verify import verify
from w2stree.cli.view import view
from w2stree.errors import Error
from w2stree.shorten import visible


def _version(is_asked: bool) -> None:
    if is_asked:
        say(f"w2stree {w2stree.__version__}")
        raise typer.Exit


def whole(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> int:
    """What stands before a command, or alone: then the help is what is wanted."""
    if context.invoked_subcommand is None:
        say(context.get_help())
    return 0


app = typer.Typer(
    # Help and messages hold brackets of their own (`samplings=[...]`): no markup.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback(
    help="Trajectory trees and weak-to-strong training from agent runs.",
    invoke_without_command=True,
)(whole)
for command in (
    *(run, experiment, report, explore, convert, tasks, tree, view, show, diff, stats),
    *(pairs, paths, advantages, lint, bisect, doctor, verify),
):
    app.command()(command)
app.add_typer(analyse.app, name="analyse")
app.add_typer(envs.app, name="envs")
app.add_typer(export.app, name="export")
app.add_typer(train.app, name="train")
app.add_typer(store.app, name="store")
add_examples(app)

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status (docs/reliability.md): an error's own, 2 for bad usage
    or files, 130 for an interrupt, 141 where nobody reads on (`say`). An error is one message on
    standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show is no reason to end
            stream.reconfigure(errors="backslashreplace")
    warnings.formatwarning = _one_warning
    sys.excepthook = _show_traceback
    try:
        # A command returns its status; typer returns 130 for Ctrl-C.
        status = int(
            typer.main.get_command(app).main(arguments, prog_name="w2stree", standalone_mode=False)
        )
    except typer.TyperException as error:
        return _fail(f"{error.format_message()}\n{_where_to_look(error)}", 2)
    except Error as error:
        return _fail(error, error.exit_status)
    except OSError as error:
        return _fail(error, 2)
    if status == _INTERRUPTED:
        warn("\nw2stree: interrupted; run the same command again to go on")
    return status


def _where_to_look(error: typer.TyperException) -> str:
    """The usage of the command that was called, as far as it is known which."""
    context = getattr(error, "ctx", None)
    if context is None:
        return "Try 'w2stree --help'."
    commands = getattr(context.command, "commands", {})
    there_are = f"Commands: {', '.join(commands)}. " if commands else ""
    return f"{there_are}Try '{context.command_path} --help'."


def _fail(message: object, status: int) -> int:
    warn(f"w2stree: {message}")
    return status


def _show_traceback(*error: Any) -> None:
    """An error of ours that nobody expected may hold text from outside as well."""
    warn("".join(traceback.format_exception(*error)).rstrip())


def _one_warning(message: Warning | str, *_: object, **__: object) -> str:
    return visible(f"w2stree: warning: {message}\n", keep_lines=True)


if __name__ == "__main__":
    sys.exit(main())
