"""How every command takes runs, and the line that says what became of all of them.

w2stree COMMAND runs/ 'more/*.jsonl' - --reward-field info.score
                └──────────────────────┬───────────────────────┘
                    Source.read ──> Runs    trajectories, the place of each
                                      │     skipped: 3 read before
                                      │ .finished()
                                      ▼
2,002 runs read = 1,990 used + 12 skipped (3 read before, 9 ended in an error)
"""

from __future__ import annotations

import functools
import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import Field, dataclass, field, fields, replace
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_type_hints

import typer

from w2stree.cli.given_paths import files_of, runs_at
from w2stree.cli.left_out import ERRED, errors_left_out, first_error, nothing_played
from w2stree.cli.say import balance, counted, warn
from w2stree.errors import InvalidInput
from w2stree.shorten import visible

if TYPE_CHECKING:
    from w2stree.formats.reader import Choices
    from w2stree.formats.reading import Imported
    from w2stree.trajectories.reading_limits import ReadingLimits
    from w2stree.trajectories.trajectory import Trajectory

Paths: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH",
        help="runs of any known format (--format): files (.jsonl, .json, .parquet, .journal, "
        "...), folders of them, a run directory (its explored runs), patterns in quotes "
        "('runs/*.jsonl'), or - for JSON lines on standard input",
        show_default=False,
    ),
]
Recursive: TypeAlias = Annotated[
    bool, typer.Option("--recursive", help="read the folders' folders too")
]
Salvage: TypeAlias = Annotated[
    bool, typer.Option("--salvage", help="read a damaged journal's other frames")
]
_SHOWN_REFUSED = 3
_INDEX = re.compile(r"\btrajectories\[(\d+)\]")
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="print JSON, for programs: every text whole")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What every command that takes runs is given: its fields are the command's parameters."""

    paths: Paths = field(default_factory=list)
    format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="what wrote them: messages, sharegpt, ... (docs/"
            "formats.md); auto: told by each file's first record",
        ),
    ] = "auto"
    reward_field: Annotated[
        str | None,
        typer.Option(metavar="FIELD", help="where a record has its reward, e.g. info.score"),
    ] = None
    reward: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="the reward of all records")
    ] = None
    task_field: Annotated[
        str | None, typer.Option(metavar="FIELD", help="where a record names its task")
    ] = None
    prompt: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="so many messages are the task's (default: all before the assistant's first)",
        ),
    ] = None
    action_pattern: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            help="what of a turn is its action: react (a line Action: ... and those after it), "
            "turn (all of it), or a regular expression and its first group",
        ),
    ] = None
    openings: Annotated[
        Literal["equal", "any", "first"],
        typer.Option(
            help="where runs of one task are asked in other words (a date, a simulated user): any: "
            "each keeps its own; first: all have the first one's, and where they differ is shown",
        ),
    ] = "equal"
    on_error: Annotated[
        str,
        typer.Option(
            metavar="stop|skip",
            help="at what cannot be read: skip leaves a record out, of a damaged file the rest, "
            "and the last line counts them",
        ),
    ] = "stop"
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=N",
            help="of what is read, to be raised: line_mib=256 (MiB of a line), json_mib=1024 (of a "
            ".json), steps=1000000 (of a run), runs=10000000 (in all)",
            show_default=False,
        ),
    ] = None
    recursive: Recursive = False
    salvage: Salvage = False

    @property
    def is_told(self) -> bool:
        """Whether an option says that these are runs, and how they are read."""
        told = (self.reward_field, self.reward, self.task_field, self.prompt, self.action_pattern)
        return self.format != "auto" or any(option is not None for option in told)

    @property
    def given(self) -> list[str]:
        """The options that are not the default, by name."""
        return [
            f"--{of.name.replace('_', '-')}"
            for of in fields(self)
            if of.name != "paths" and getattr(self, of.name) not in (of.default, [])
        ]

    @property
    def of_a_task(self) -> Literal["equal", "any"]:
        """What `build_forest` is told of openings: those of "first" are equal by then."""
        return "any" if self.openings == "any" else "equal"

    def choices(self) -> Choices:
        """Raises `InvalidInput` where the reward is said twice."""
        from w2stree.formats.reader import Choices

        if self.reward is not None and self.reward_field is not None:
            raise InvalidInput("--reward and --reward-field both say the reward: give one")
        return Choices(
            reward=self.reward if self.reward_field is None else self.reward_field,
            task=self.task_field,
            prompt=self.prompt,
            action=self.action_pattern,
        )

    def limits(self) -> ReadingLimits:
        """Raises `InvalidInput` for one that there is not, and for what is no number."""
        from w2stree.trajectories.reading_limits import limits_of

        return limits_of(self.allow or ())

    def at(self, *paths: str) -> Source:
        """The same ways of reading, for other paths."""
        return replace(self, paths=list(paths))

    def typed(self) -> list[str]:
        """The paths, and the options that are not the default: the words that give the same runs
        again."""
        words = list(self.paths)
        for of in fields(self):
            value = getattr(self, of.name)
            if of.name == "paths" or value in (of.default, []):
                continue
            option = f"--{of.name.replace('_', '-')}"
            if value is True:
                words.append(option)
            else:
                given = value if isinstance(value, list) else [value]
                words += [word for one in given for word in (option, str(one))]
        return words

    def read(self) -> Runs:
        """The runs at all of the paths, of a run directory those that were explored, unless all
        folders are read; files that lie there and are not read are warned of.

        Raises `FileNotFoundError` for a path or a pattern with nothing to read, and what
        `read_trajectories` raises.
        """
        from w2stree.formats.reading import read_files
        from w2stree.trajectories.files import warnings_of

        paths = runs_at(self.paths, recursive=self.recursive)
        with files_of(paths) as (files, named):
            imported = read_files(
                *files,
                format=self.format,
                recursive=self.recursive,
                salvage=self.salvage,
                on_error=self.on_error,
                choices=self.choices(),
                one_opening=self.openings == "first",
                limits=self.limits(),
            )
        where = ", ".join("standard input" if p == "-" else visible(p) for p in paths)
        for message, kind in warnings_of(imported.reading, f"{where}: "):
            warnings.warn(named(message), kind, stacklevel=2)
        places = [named(place) for place in imported.reading.places]
        skipped = [named(reason) for reason in imported.skipped]
        return Runs(
            where,
            imported.reading.trajectories,
            places,
            _skipped(imported),
            tuple(skipped),
            imported.found,
        )


def takes_runs(command: Callable[..., int]) -> Callable[..., int]:
    """A command whose first parameter is a `Source`: it has the source's parameters instead."""
    return _taking(command, fields(Source))


def takes_named_runs(command: Callable[..., int]) -> Callable[..., int]:
    """The same of a command that has arguments of its own where the runs are: of its source the
    paths are none (`Source.at`)."""
    return _taking(command, [field for field in fields(Source) if field.name != "paths"])


def _taking(command: Callable[..., int], of: Sequence[Field[Any]]) -> Callable[..., int]:
    types = get_type_hints(Source, include_extras=True)
    of_source = [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.name == "paths" else field.default,
            annotation=types[field.name],
        )
        for field in of
    ]
    own = [
        parameter.replace(kind=Parameter.KEYWORD_ONLY)
        for parameter in list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    ]
    has_paths = of[0].name == "paths"
    parameters = [*of_source[:has_paths], *own, *of_source[has_paths:]]

    @functools.wraps(command)
    def with_source(**given: Any) -> int:
        source = Source(**{parameter.name: given.pop(parameter.name) for parameter in of_source})
        return command(source, **given)

    with_source.__signature__ = Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    with_source.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": int}
    return with_source


@dataclass(frozen=True, slots=True)
class Runs:
    """What a command goes on with, and an account of the rest.

    `where`: what was given, for messages. `places`: where each trajectory stands, "runs.jsonl:3".
    `skipped`: how many of those that were read do not count, by reason in words ("read before").
    `refused`: what was wrong with each record that could not be read. `found`: how many runs of
    other tools had their "reward", "task", … from where. `first_error`: of the error rows that were
    left out, where the first stands, and its cause.
    """

    where: str
    trajectories: Sequence[Trajectory]
    places: Sequence[str]
    skipped: dict[str, int]
    refused: tuple[str, ...] = ()
    found: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    first_error: str = ""

    @property
    def num_read(self) -> int:
        """Used and skipped."""
        return len(self.trajectories) + sum(self.skipped.values())

    def only(self, keep: Callable[[Trajectory], bool], reason: str) -> Runs:
        """Those that `keep` holds of; the others are skipped for the `reason`."""
        kept = [
            (trajectory, place)
            for trajectory, place in zip(self.trajectories, self.places, strict=True)
            if keep(trajectory)
        ]
        num_skipped = len(self.trajectories) - len(kept)
        before = self.skipped.get(reason, 0)
        return replace(
            self,
            trajectories=[trajectory for trajectory, _ in kept],
            places=[place for _, place in kept],
            skipped={**self.skipped, reason: before + num_skipped} if num_skipped else self.skipped,
        )

    def ordered(self, key: Callable[[Trajectory], int]) -> Runs:
        """The same, the least `key` first."""
        order = sorted(range(len(self.places)), key=lambda i: key(self.trajectories[i]))
        return replace(
            self,
            trajectories=[self.trajectories[i] for i in order],
            places=[self.places[i] for i in order],
        )

    def finished(self) -> Runs:
        """Without error rows, which say nothing about their task.

        Raises `InvalidInput` where nothing is left, with the cause.
        """
        self.refuse_if_all_were_skipped()
        kept = self.only(lambda trajectory: trajectory.status != "error", ERRED)
        if not kept.trajectories:
            raise InvalidInput(f"{self.where}: {nothing_played(self.trajectories, self.found)}")
        return replace(kept, first_error=first_error(self.trajectories, self.places))

    def left_out(self) -> str:
        """What a command that ends with nothing says of the error rows; "" for none."""
        return errors_left_out(self.skipped.get(ERRED, 0), self.first_error, self.found)

    def refuse_if_all_were_skipped(self) -> None:
        """Raises `InvalidInput` where what could not be read is all that there was."""
        if self.refused and not self.trajectories:
            raise InvalidInput(
                f"{self.where}: nothing in it can be read; the first of "
                f"{len(self.refused):,} that were skipped: {self.refused[0]}"
            )

    def how_read(self) -> list[str]:
        """A line for each thing that a format leaves open: where the runs had it from."""
        return [
            f"{what}: {', '.join(f'{name} ({count:,})' for name, count in places.items())}"
            for what, places in self.found.items()
        ] + [f"skipped: {reason}" for reason in self.refused[:_SHOWN_REFUSED]]

    def account(self, more: Mapping[str, int] | None = None) -> str:
        """Where all that was read went: what a command ends with. `more`: of the trajectories, how
        many the command did not use, by reason."""
        counts = self.counts(more)
        read, used = f"{counted(self.num_read, 'run')} read", f"{counts['num_used']:,} used"
        return balance(read, used, counts["skipped"])

    def counts(self, more: Mapping[str, int] | None = None) -> dict[str, Any]:
        """The account, for JSON: `num_read`, `num_used`, and what was `skipped` by reason."""
        left_out = {reason: count for reason, count in (more or {}).items() if count}
        skipped = {**self.skipped, **left_out}
        num_used = len(self.trajectories) - sum(left_out.values())
        return {"num_read": self.num_read, "num_used": num_used, "skipped": skipped}


@contextmanager
def by_places(runs: Runs) -> Iterator[None]:
    """Around what is made of the runs: where an error names trajectories[3], it names the place
    of that one instead, which is where to look."""
    try:
        yield
    except InvalidInput as error:
        told = _INDEX.sub(lambda found: visible(runs.places[int(found[1])]), str(error))
        raise type(error)(told) from None


def warn_how_read(runs: Runs) -> None:
    """Of runs of other tools, where was found what their format leaves open; and what was wrong
    with records that were skipped."""
    for line in runs.how_read():
        warn(f"w2stree: {line}")


def _skipped(imported: Imported) -> dict[str, int]:
    reading = imported.reading
    counts = {
        "not readable": len(imported.skipped),
        "read before": reading.num_repeated,
        "superseded by another attempt": reading.num_superseded,
        "damaged": len(reading.damage),
    }
    return {reason: count for reason, count in counts.items() if count}
