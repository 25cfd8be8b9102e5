"""WebShop as an environment: one customer, one instruction, at most ten actions."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from w2stree.environments.protocol import ExpertTurn, Info
from w2stree.environments.webshop.catalogue import DataFiles, Product, load_object, load_products
from w2stree.environments.webshop.expert import expert_turns
from w2stree.environments.webshop.goals import Goal, Goals, Wish, human_wishes, synthetic_wishes
from w2stree.environments.webshop.pages import (
    SEARCH,
    DetailPage,
    DonePage,
    ItemPage,
    Page,
    ResultsPage,
    SearchPage,
    View,
    view_detail,
    view_done,
    view_item,
    view_results,
    view_search,
)
from w2stree.environments.webshop.reward import reward
from w2stree.environments.webshop.search import SearchIndex
from w2stree.errors import EnvironmentFailure, InvalidInput

_ACTION = re.compile(r"(search|click)\[(.+)\]")
INVALID = "Invalid action!"


class WebShop:
    """WebShop in text mode over the products of a data directory.

    `data`: the directory of WebShop's JSON files, full or small; None means `$WEBSHOP_DATA`.
    `goals`: generated instructions, or people's. `price_seed` draws prices and price bounds, as
    Python's `random.seed(price_seed)` does for the authors' server.

    Actions are `search[keywords]`, on every page, and `click[value]`. `admissible_actions` are
    the page's clicks and, since keywords are free, on the search page one search: for the
    instruction. The score is the reward of the purchase, 0 before it and at the step limit.
    Task ids read `webshop/<goals>/<index>`, the index of the authors' shuffled goals.
    """

    def __init__(
        self,
        data: str | os.PathLike[str] | None = None,
        *,
        goals: Literal["synthetic", "human"] = "synthetic",
        max_steps: int = 10,
        price_seed: int = 0,
    ) -> None:
        if max_steps < 1:
            raise InvalidInput(f"max_steps is {max_steps}; give at least 1")
        files = DataFiles.of(_folder(data))
        attributes = load_object(files.attributes)
        rng = random.Random(price_seed)
        self._products = load_products(files, attributes, rng)
        wishes = _wishes(goals, files, self._products, attributes, rng)
        self._prefix = f"webshop/{goals}/"
        self._goals = Goals(wishes)
        self._index = SearchIndex(self._products)
        self._max_steps = max_steps
        self._goal: Goal | None = None
        self._page: Page = SEARCH
        self._view = View("", {})
        self._num_steps, self._score = 0, 0.0

    def tasks(self, split: str) -> list[str]:
        """The split's goals in their order; see `Goals.split` for the sizes."""
        return [f"{self._prefix}{index}" for index in self._goals.split(split)]

    def reset(self, task_id: str) -> tuple[str, Info]:
        self._goal = self._goals[self._parse(task_id)]
        self._begin()
        return self._view.text, self._info()

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        """A click that the page does not have, or anything else, changes nothing and says so."""
        page = self._target(action)
        self._num_steps += 1
        before = self._score
        if page is not None:
            self._show(page)
        notice = "" if page is not None else f"{INVALID} [SEP] "
        terminated = isinstance(self._page, DonePage)
        truncated = not terminated and self._num_steps >= self._max_steps
        observation = f"{notice}{self._view.text}"
        return observation, self._score - before, terminated, truncated, self._info()

    def expert(self) -> list[ExpertTurn]:
        """What a shopper who knows the goal does; see `expert_turns`."""
        goal = self._current()
        self._begin()
        return expert_turns(goal, self._products[goal.asin], self._index)

    def close(self) -> None:
        pass

    def _begin(self) -> None:
        self._num_steps, self._score = 0, 0.0
        self._show(SEARCH)

    def _current(self) -> Goal:
        if self._goal is None:
            raise EnvironmentFailure("no task is loaded; call reset(task_id) first")
        return self._goal

    def _target(self, action: str) -> Page | None:
        self._current()
        match = _ACTION.match(action.strip())
        if match is None or isinstance(self._page, DonePage):
            return None
        name, value = match[1], match[2].lower()
        return ResultsPage(value) if name == "search" else self._view.links.get(value)

    def _show(self, page: Page) -> None:
        self._page, instruction = page, self._current().instruction
        match page:
            case SearchPage():
                self._view = view_search(instruction)
            case ResultsPage():
                hits = [self._products[asin] for asin in self._index.search(page.keywords)]
                self._view = view_results(instruction, page, hits)
            case ItemPage():
                self._view = view_item(instruction, page, self._products[page.asin])
            case DetailPage():
                self._view = view_detail(instruction, page, self._products[page.item.asin])
            case DonePage():
                self._score = self._reward(page.item)
                self._view = view_done(self._score)

    def _reward(self, item: ItemPage) -> float:
        goal = self._current()
        chosen = [value for _, value in item.options]
        bought, wanted = self._products[item.asin], self._products[goal.asin]
        return reward(bought, chosen, goal, wanted).total

    def _info(self) -> Info:
        actions = [f"click[{value}]" for value in self._view.links]
        if isinstance(self._page, SearchPage):
            actions.append(f"search[{self._current().wish}]")
        return Info(score=self._score, admissible_actions=sorted(actions))

    def _parse(self, task_id: str) -> int:
        index = task_id.removeprefix(self._prefix)
        if index == task_id or not index.isdecimal() or int(index) >= len(self._goals):
            raise InvalidInput(
                f"task id {task_id!r}; expected '{self._prefix}<index>' with an index below "
                f"{len(self._goals)}"
            )
        return int(index)


def _wishes(
    kind: str,
    files: DataFiles,
    products: Mapping[str, Product],
    attributes: Mapping[str, Any],
    rng: random.Random,
) -> list[Wish]:
    if kind not in ("synthetic", "human"):
        raise InvalidInput(f"goals is {kind!r}; use synthetic or human")
    file = files.attributes if kind == "synthetic" else files.human
    try:
        if kind == "synthetic":
            return synthetic_wishes(products, attributes, rng)
        return human_wishes(products, load_object(file), rng)
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{file}: a record is not one of WebShop's: {type(error).__name__}: {error}"
        ) from None


def _folder(data: str | os.PathLike[str] | None) -> Path:
    folder = data if data is not None else os.environ.get("WEBSHOP_DATA")
    if not folder:
        raise InvalidInput(
            "WebShop needs its data: give the directory, or set $WEBSHOP_DATA "
            "(docs/environments.md says where to get it)"
        )
    return Path(folder)
