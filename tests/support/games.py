"""Small environments in the shapes that users have, for test_gymnasium."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np


class Discrete:
    """A stand-in for the space class of Gymnasium and of older Gym: the adapter asks its name."""

    def __init__(self, n: int, start: int = 0) -> None:
        self.n, self.start = n, start


class Doors:
    """Gymnasium's five-tuple with text: walk to the end, as many steps as the seed's last digit."""

    def __init__(self, *, admissible: str = "admissible_commands") -> None:
        self.admissible = admissible

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        self.left = (seed or 0) % 10 + 1
        return f"{self.left} doors are before you.", {self.admissible: ["open", "wait"]}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        if action == "explode":
            raise RuntimeError("out of powder")
        if action == "everything":
            return "inf", float("inf"), False, False, {}
        if action == "nothing":
            return "nan", float("nan"), False, False, {}
        if action == "no end":
            return "on", 0.0, "no", False, {}  # type: ignore[return-value]
        if action == "say":
            return "on", 0.0, False, False, {self.admissible: "open"}
        self.left -= action == "open"
        info = {self.admissible: ["open", "wait"]}
        return f"{self.left} doors.", float(action == "open"), self.left == 0, False, info


class Buttons:
    """Gymnasium's five-tuple with numbers: Discrete actions, a time limit of its own."""

    action_space = Discrete(2, start=1)

    def reset(self, *, seed: int | None = None) -> tuple[int, dict[str, Any]]:
        self.left = (seed or 0) % 10 + 1
        return self.left, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        assert action in (1, 2)
        self.left -= action - 1
        return self.left, -1.0, self.left == 0, self.left == 1, {}


class Masked(Buttons):
    """Says which of its actions can be taken."""

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        return *super().step(action)[:4], {"action_mask": [0, 1]}  # type: ignore[return-value]


class Arrays(Buttons):
    """Answers in arrays: `size` numbers, of which one in the middle tells the states apart."""

    def __init__(self, size: int = 5000, *, nested: bool = False) -> None:
        self.size, self.nested = size, nested

    def reset(self, *, seed: int | None = None) -> tuple[Any, dict[str, Any]]:
        self.left = 9
        return self._seen(), {}

    def step(self, action: int) -> Any:
        answer = super().step(action)[1:]
        return self._seen(), *answer

    def _seen(self) -> Any:
        seen = np.zeros(self.size, np.float32)
        seen[self.size // 2] = np.float32(0.1) + self.left * np.float32(2**-27)
        return {"grid": seen, "left": (np.arange(3), self.left)} if self.nested else seen


class Old(Buttons):
    """Gym before 0.26: done in one."""

    def step(self, action: int) -> Any:
        observation, reward, *ended, info = super().step(action)
        return observation, reward, any(ended), info


class Bare(Buttons):
    """Gym before 0.26: an observation alone."""

    def reset(self, *, seed: int | None = None) -> Any:
        return super().reset(seed=seed)[0]


def opens_all(task: int | str, *, admissible: str = "") -> list[str | tuple[str, str]]:
    """The expert of `Doors` and of `Named`, with a thought before its first action."""
    left = 5 * str(task).endswith("long") if isinstance(task, str) else task % 10
    return [("They open outwards.", "open"), *["open"] * left]


def knows_even(seed: int) -> list[str]:
    """The solution of every other task: the others come without one."""
    if seed % 2:
        raise LookupError("no solution is known")
    return ["open"] * (seed % 10 + 1)


class Jammed(Doors):
    """Its doors do not move while the file `jam` is there, those of every `nth` seed at least."""

    def __init__(self, jam: str, *, nth: int = 1) -> None:
        super().__init__()
        self.jam, self.nth = Path(jam), nth

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        self.is_jammed = (seed or 0) % self.nth == 0
        return super().reset(seed=seed, options=options)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        if self.is_jammed and self.jam.exists():
            raise RuntimeError("the doors are jammed")
        return super().step(action)


class Named(Doors):
    """Tasks of its own."""

    def tasks(self, split: str) -> list[str]:
        return [f"{split}-{name}" for name in ("short", "long")]

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        return super().reset(seed=0 if options["task"].endswith("short") else 4)


class Circular(Doors):
    """The same six tasks in every split."""

    def tasks(self, split: str) -> list[str]:
        return [f"round/{i}" for i in range(6)]

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        return super().reset(seed=int(options["task"].rpartition("/")[2]))


class Unseeded:
    def reset(self) -> str:
        return "always the same"

    def step(self, action: str) -> tuple[str, int]:
        return "two values", 0


class Analog(Unseeded):
    class Box:
        pass

    action_space = Box()


def counting(seed: int, upto: int = 3) -> Generator[tuple[str, float, list[str]], str, Any]:
    """Say the numbers in order."""
    number, seen = 0, f"Count to {upto}."
    while number < upto:
        action = yield seen, number / upto, ["say", "stop"]
        if action == "stop":
            return "You stopped.", number / upto
        if action == "break":
            return None
        number, seen = number + (action == "say"), str(number)
    return "Done.", 1.0


def notebook(seed: int) -> Generator[tuple[str, float, list[str]], str, Any]:
    """Whoever writes all of it down has done it; the page shows what was written."""
    action = yield "Write two lines.", 0.0, []
    return f"You wrote {action!r}.", float(action == "write\none\ntwo")


not_callable = 3
