"""What an experiment asks, as a file, and the cells that answer it.

    worlds  ×  variants  ×  seeds  ×  methods           a cell: one method, trained and tested once
    twc_two    base         0         best_of_m    ──>  runs/twc_two--seed-0/evaluate_best_of_m
    twc_three  beta_05      1         tree_dpo     ──>  runs/twc_three--beta.beta_05--seed-1/…

A world is a configuration of `w2stree run`; values of the command line are laid over its keys
(`overrides_by_world`), a variant's over those. The cells of one world, variant and seed have one
run directory, and all run directories lie side by side and share stages. Methods are in the order
of priority: all cells of the first come first. Analyses are measured in the same run directories,
after all cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from w2stree.errors import InvalidInput
from w2stree.experiment.config import Config, load_config
from w2stree.experiment.config.reading import read_config
from w2stree.experiment.grid.asked import Asked, asked
from w2stree.experiment.grid.cells import Cell, Measurement, Unit
from w2stree.experiment.grid.overrides import keys_of_all, overrides_by_world
from w2stree.experiment.section import Positive, Section

_NAME = re.compile(r"[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*")
_SIDE = re.compile(r"(\w+)(?:@([\w-]+))?")
_OURS = ("seed", "num_threads", "name")
"""Keys that a variant may not set: every cell's are set here."""


@dataclass(frozen=True, slots=True)
class Side:
    """A method in a contrast; without a variant it is of the variant at hand."""

    method: str
    variant: str | None = None

    def __str__(self) -> str:
        return self.method if self.variant is None else f"{self.method}@{self.variant}"


@dataclass(frozen=True, slots=True)
class Contrast:
    """A difference that is asked for: `one` minus `other`."""

    one: Side
    other: Side

    def __str__(self) -> str:
        return f"{self.one} - {self.other}"

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.one, self.other


def _base_alone() -> dict[str, dict[str, Any]]:
    return {"base": {}}


class Grid(Section):
    """An experiment's file.

    `worlds` are configurations, by name or path, the path from the experiment's own folder or from
    here. `methods` are the rows, in the order in which they are run. `seeds` is a number: 0, 1, …
    `variants` gives each variant's values by key (`{beta_05: {tree_dpo.beta: 0.5}}`). `contrasts`
    are the differences that are tested, together (Holm): `best_of_m - sft_strong` in every
    variant, `tree_dpo@beta_05 - tree_dpo@base` across two. `panels`: the test panels that they are
    tested on, all unless told. `analyses`: what is measured beside returns (`asked`), of every
    world, variant and seed; an experiment of analyses alone has no methods. `num_threads`: of each
    cell, whatever the world says, so that a result does not depend on how many cells run side by
    side.
    """

    shipped_in: ClassVar[str] = "experiments"

    name: str
    question: str
    worlds: Annotated[list[str], Field(min_length=1)]
    methods: list[str] = Field(default_factory=list)
    analyses: dict[str, dict[str, Any]] = Field(default_factory=dict)
    seeds: Positive = 5
    variants: dict[str, dict[str, Any]] = Field(default_factory=_base_alone, min_length=1)
    contrasts: list[str] = Field(default_factory=list)
    panels: list[str] | None = None
    num_threads: Positive = 1
    num_bootstrap: Positive = 10_000

    def asked(self) -> list[Contrast]:
        """The contrasts, read."""
        return [_contrast(text) for text in self.contrasts]

    def asked_analyses(self) -> list[Asked]:
        """The analyses, read."""
        return [asked(name, given) for name, given in self.analyses.items()]

    @field_validator("name")
    @classmethod
    def _is_a_folder_s_name(cls, given: str) -> str:
        return _checked_name(given)

    @field_validator("methods", "worlds")
    @classmethod
    def _each_once(cls, given: list[str]) -> list[str]:
        if twice := [name for name in given if given.count(name) > 1]:
            raise InvalidInput(f"{twice[0]!r} is named twice")
        return given

    @field_validator("variants")
    @classmethod
    def _of_keys_that_are_free(cls, given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, values in given.items():
            _checked_name(name)
            for key in values:
                if key in _OURS:
                    raise InvalidInput(f"{name}: {key} is set for every cell; leave it out")
        return given

    @field_validator("analyses")
    @classmethod
    def _analyses_that_there_are(cls, given: dict[str, dict[str, Any]]) -> dict[str, Any]:
        for name, settings in given.items():
            asked(_checked_name(name), settings)
        return given

    @model_validator(mode="after")
    def _asks_something(self) -> Grid:
        if not self.methods and not self.analyses:
            raise ValueError("methods: are missing; give methods to run, or analyses to measure")
        return self

    @model_validator(mode="after")
    def _contrasts_of_what_is_run(self) -> Grid:
        before: set[frozenset[Side]] = set()
        for contrast in self.asked():
            for side in contrast.sides:
                if side.method not in self.methods:
                    raise ValueError(
                        f"contrasts: {contrast}: {side.method} is not among the methods"
                    )
                if side.variant is not None and side.variant not in self.variants:
                    raise ValueError(f"contrasts: {contrast}: there is no variant {side.variant}")
            if contrast.one == contrast.other:
                raise ValueError(f"contrasts: {contrast}: both sides are the same")
            if (contrast.one.variant is None) != (contrast.other.variant is None):
                raise ValueError(f"contrasts: {contrast}: give a variant on both sides, or on none")
            for variant in self.variants if contrast.one.variant is None else ("",):
                cells = frozenset(Side(s.method, s.variant or variant) for s in contrast.sides)
                if cells in before:
                    raise ValueError(
                        f"contrasts: {contrast}: is asked twice, and would count twice (Holm)"
                    )
                before.add(cells)
        return self


@dataclass(frozen=True)
class Plan:
    """An experiment with its worlds read: which cells there are, and each one's configuration."""

    grid: Grid
    sources: Mapping[str, str]
    """Of each world, by its name: what `load_config` reads."""
    overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of each world, what the command line lays over it; a cell's record has it among `changes`."""

    @cached_property
    def worlds(self) -> dict[str, Config]:
        """The configurations as their files have them, without what is laid over them."""
        return {name: load_config(source) for name, source in self.sources.items()}

    @cached_property
    def variants(self) -> dict[tuple[str, str], Config]:
        """By world and variant, with seed 0. Raises `InvalidInput` where a variant sets what a
        world does not know."""
        return {
            (world, variant): self._config(world, variant)
            for world in self.sources
            for variant in self.grid.variants
        }

    def cells(self) -> Iterator[Cell]:
        """In the order in which they are run: all of the first method, seed by seed, come first.
        Where a configuration does not have a method there is no cell."""
        for method in self.grid.methods:
            # Side by side run other seeds and worlds: two variants would wait for the same stages.
            for variant in self.grid.variants:
                for seed in range(self.grid.seeds):
                    for world in self.sources:
                        if method in {m.name for m in self.variants[world, variant].methods()}:
                            yield Cell(world, variant, seed, method)

    def measurements(self) -> Iterator[Measurement]:
        """In the order in which they are made. Where a configuration lacks a method that an
        analysis reads there is none."""
        for one in self.grid.asked_analyses():
            for variant in self.grid.variants:
                for seed in range(self.grid.seeds):
                    for world in self.sources:
                        if not one.lacks(self.variants[world, variant]):
                            yield Measurement(world, variant, seed, one)

    def chosen(
        self,
        methods: Sequence[str] | None = None,
        worlds: Sequence[str] | None = None,
        analyses: Sequence[str] | None = None,
    ) -> list[Unit]:
        """The cells of these methods and worlds, then the measurements of these analyses; all of
        them unless told, and where methods are named no others' and no analyses, and the other way
        round. Raises `InvalidInput` for one that the experiment does not have."""
        for given, there, name in (
            (methods, self.grid.methods, "methods"),
            (worlds, list(self.sources), "worlds"),
            (analyses, list(self.grid.analyses), "analyses"),
        ):
            for one in given or ():
                if one not in there:
                    raise InvalidInput(
                        f"--{name}: {one!r} is not one of {self.grid.name}'s: "
                        f"{', '.join(there) or 'it has none'}"
                    )
        is_all = not methods and not analyses
        units: list[Unit] = [
            *(cell for cell in self.cells() if is_all or cell.method in (methods or ())),
            *(m for m in self.measurements() if is_all or m.asked.name in (analyses or ())),
        ]
        return [unit for unit in units if not worlds or unit.world in worlds]

    def left_out(self) -> list[tuple[str, str]]:
        """Methods that a world's configuration does not have, each with the world."""
        return [
            (method, world)
            for method in self.grid.methods
            for world in self.sources
            if not any(
                method in {m.name for m in self.variants[world, variant].methods()}
                for variant in self.grid.variants
            )
        ]

    def analyses_left_out(self) -> list[tuple[str, str, str]]:
        """Analyses that are measured in no variant of a world, each with the world and a method
        that it reads and the configuration does not have."""
        found = []
        for one in self.grid.asked_analyses():
            for world in self.sources:
                lacking = [one.lacks(self.variants[world, v]) for v in self.grid.variants]
                if all(lacking):
                    found.append((one.name, world, lacking[0][0]))
        return found

    def config(self, unit: Unit) -> Config:
        """The configuration that a cell is run with, or an analysis measured."""
        return self.variants[unit.world, unit.variant].model_copy(update={"seed": unit.seed})

    @property
    def told_overrides(self) -> dict[str, list[str]]:
        """Of the command line, by world, what a table says of itself: not where curves go."""
        told = {
            world: [one for one in given if not one.startswith("report_to=")]
            for world, given in self.overrides.items()
        }
        return {world: kept for world, kept in told.items() if kept}

    def run_name(self, unit: Unit) -> str:
        """Of its run directory: a world as it is is the same run in every experiment."""
        is_base = not self.grid.variants[unit.variant]
        variant = "" if is_base else f"--{self.grid.name}.{unit.variant}"
        return f"{unit.world}{variant}--seed-{unit.seed}"

    def panels(self, world: str, *variants: str) -> list[str]:
        """The test panels that the experiment is about and the world has in all these variants."""
        first, *others = (self.variants[world, variant].tasks.test for variant in variants)
        return [
            name
            for name in first
            if (self.grid.panels is None or name in self.grid.panels)
            and all(name in other for other in others)
        ]

    def check(self) -> None:
        """Raises `InvalidInput` for a method, what an analysis reads, or a panel that no world has,
        for a world without any of the panels, and for a contrast of variants that have none in
        common."""
        absent = self.left_out()
        for method in self.grid.methods:
            if all((method, world) in absent for world in self.sources):
                raise InvalidInput(
                    f"{self.grid.name}: methods: no world has {method}: its section is in the "
                    f"configuration of none of {', '.join(self.sources)}"
                )
        nowhere = self.analyses_left_out()
        for name in self.grid.analyses:
            lacking = [method for left, _, method in nowhere if left == name]
            if len(lacking) == len(self.sources):
                raise InvalidInput(
                    f"{self.grid.name}: analyses: {name}: reads {lacking[0]}, which no world has"
                )
        tests = {place: config.tasks.test for place, config in self.variants.items()}
        for panel in self.grid.panels or ():
            if not any(panel in test for test in tests.values()):
                known = dict.fromkeys(name for test in tests.values() for name in test)
                raise InvalidInput(
                    f"{self.grid.name}: panels: no world has {panel}; known are {', '.join(known)}"
                )
        for (world, variant), test in tests.items():
            if not self.panels(world, variant):
                raise InvalidInput(
                    f"{self.grid.name}: panels: {world} has {', '.join(test)} alone in the variant "
                    f"{variant}"
                )
        for contrast in self.grid.asked():
            for world in self.sources:
                named = [side.variant for side in contrast.sides if side.variant is not None]
                if named and not self.panels(world, *named):
                    raise InvalidInput(
                        f"{self.grid.name}: contrasts: {contrast}: in {world} the variants have no "
                        "test panel in common"
                    )

    def _config(self, world: str, variant: str) -> Config:
        grid = self.grid
        values = {**grid.variants[variant], "seed": 0, "num_threads": grid.num_threads}
        try:
            return load_config(self.sources[world], self.overrides.get(world, ()), values=values)
        except InvalidInput as error:
            raise InvalidInput(f"{grid.name}: variant {variant}: {error}") from None


def read_plan(source: str, *, seeds: int | None = None, overrides: Sequence[str] = ()) -> Plan:
    """The experiment of a file, or a shipped one by name; with another number of seeds, if told,
    and with values laid over its worlds (`overrides_by_world`).

    Raises `InvalidInput` for a file that is none, for overrides that are none, and as `Plan.check`
    does.
    """
    grid = read_config(Grid, source)
    folder = Path(source).parent if Path(source).is_file() else None
    sources: dict[str, str] = {}
    for world in grid.worlds:
        name = Path(world).name.removesuffix(".yaml")
        if name in sources:
            raise InvalidInput(f"{source}: worlds: two are called {name}")
        beside = None if folder is None else folder / world
        sources[_checked_name(name)] = str(beside) if beside and beside.is_file() else world
    of_every_cell = {*_OURS, *keys_of_all(grid.variants.values())}
    laid_over = overrides_by_world(overrides, list(sources), set_for_every_cell=of_every_cell)
    plan = Plan(grid.model_copy(update={"seeds": seeds or grid.seeds}), sources, laid_over)
    plan.check()
    return plan


def _contrast(text: str) -> Contrast:
    sides = [_SIDE.fullmatch(side.strip()) for side in text.split(" - ")]
    match sides:
        case [re.Match() as one, re.Match() as other]:
            return Contrast(Side(*one.groups()), Side(*other.groups()))
    raise InvalidInput(
        f"contrasts: {text!r}: write two methods, as best_of_m - sft_strong, or "
        "tree_dpo@beta_05 - tree_dpo@base"
    )


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r}: names folders; use letters, digits and _ alone, or single dashes between"
        )
    return name
