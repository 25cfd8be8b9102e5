"""How many tasks each part of an experiment uses, and of which folds they are."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from w2stree.errors import InvalidInput
from w2stree.experiment.section import Positive, Section, Whole


class Panel(Section):
    """Test tasks of one kind: how many of which fold."""

    split: str = "test"
    count: Positive


class TasksSection(Section):
    """How many tasks each part uses; no two tasks of a run open alike (`TaskChoice`).

    `test` names panels of test tasks, each a column of the table, as in `{new_tasks: {split:
    train, count: 150}, unseen_fold: {split: test, count: 100}}`; a number is one panel, `test`, of
    the fold `test_split` (the test fold unless told). Test tasks of the train fold are new tasks
    of known things.

    `dev` is a panel to choose settings by: every method plays it, its rows are in `report.json`
    alone. It is of the dev fold unless told; a number is so many tasks of that fold.

    Tasks are drawn by `seed`, the environment's types of tasks by turns, whatever the seed of the
    run: runs of several training seeds share their tasks. Train tasks are demonstrated by the
    environment's expert, or with `demonstrations` beside this section by a file of trajectories:
    those that succeed there and are not tested on.

    Where `explore.trajectories` names a file, explored tasks are train tasks of that file that are
    not tested on: `explore` of them, or all. They may be demonstrated too.

    `distinct: false` takes ids for what tells tasks apart, for worlds whose tasks differ only in
    what is hidden at first; the report then says how many test tasks open as others do.
    """

    demonstrations: Positive
    explore: Positive | None = None
    test: Annotated[dict[Annotated[str, Field(min_length=1)], Panel], Field(min_length=1)]
    test_split: str | None = Field(default=None, exclude=True)
    dev: Panel | None = None
    seed: Whole = 0
    distinct: bool = True

    def panels(self) -> dict[str, Panel]:
        """All panels, under their keys."""
        dev = {} if self.dev is None else {"tasks.dev": self.dev}
        return {**{f"tasks.test.{name}": panel for name, panel in self.test.items()}, **dev}

    def most_of_one_fold(self) -> int:
        """How many tasks the fold that is used most must have."""
        needed = {"train": self.demonstrations + (self.explore or 0)}
        for panel in self.panels().values():
            needed[panel.split] = needed.get(panel.split, 0) + panel.count
        return max(needed.values())

    @field_validator("dev", mode="before")
    @classmethod
    def _of_the_dev_fold(cls, given: Any) -> Any:
        if given is None or isinstance(given, Panel):
            return given
        return {"split": "dev", **(given if isinstance(given, dict) else {"count": given})}

    @model_validator(mode="before")
    @classmethod
    def _one_panel_by_its_number(cls, given: Any) -> Any:
        """`test: 150` is a panel called `test`; only it has its split beside it."""
        if not isinstance(given, dict) or "test" not in given:
            return given
        test, split = given["test"], given.get("test_split")
        if isinstance(test, dict):
            if split is not None:
                raise InvalidInput("test names panels, each with its split: leave test_split out")
            return given
        if not isinstance(test, int) or isinstance(test, bool) or test < 1:
            raise InvalidInput(
                f"test is {test!r}; give a number of tasks above 0, or panels, as "
                "{new_tasks: {split: train, count: 150}}"
            )
        others = {key: value for key, value in given.items() if key != "test_split"}
        return {**others, "test": {"test": {"split": split or "test", "count": test}}}
