"""A finding: what is wrong with how many, where the first are, what training does, what helps.

error   contradictory-rows   3 of 120 rows are preferred the other way round by another row
        at rows.jsonl:3 (against rows.jsonl:17)
               rows.jsonl:17 (against rows.jsonl:3)
        training: learns both directions of one choice, and so neither
        fix: …
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, overload

MOST_PLACES = 5


class Severity(StrEnum):
    """How bad it is. The command ends with 1 for errors, with `--strict` for warnings too."""

    ERROR = "error"
    """Training would refuse, learn nothing, or learn what the data do not say."""
    WARNING = "warning"
    """Training, or a stock trainer, would leave out or learn other than one may think."""
    NOTE = "note"
    """A fact to weigh; nothing is wrong with it."""


class Rule(StrEnum):
    """All there are; docs/lint.md says of each what it looks at, and why."""

    # of rows
    UNREADABLE = "unreadable"
    IDENTICAL_SIDES = "identical-sides"
    DUPLICATE_ROWS = "duplicate-rows"
    CONTRADICTORY_ROWS = "contradictory-rows"
    RETURNS_DISAGREE = "returns-disagree"
    LENGTH_BIAS = "length-bias"
    SINGLE_RUN_ROWS = "single-run-rows"
    CHOSEN_ACTION_LATER = "chosen-action-later"
    TWO_HISTORIES = "two-histories"
    OBSERVATIONS_IN_LOSS = "observations-in-loss"
    FAILED_DEMONSTRATIONS = "failed-demonstrations"
    MISSING_TASK_IDS = "missing-task-ids"
    IN_TWO_FILES = "in-two-files"
    # of tokens
    TEMPLATE_REFUSED = "template-refused"
    PROMPT_NOT_A_PREFIX = "prompt-not-a-prefix"
    TOO_LONG = "too-long"
    CUT_BY_TRL = "cut-by-trl"
    EQUAL_AFTER_CUT = "equal-after-cut"
    EQUAL_TOKENS = "equal-tokens"
    NO_TRAINABLE_TOKEN = "no-trainable-token"
    OBSERVATIONS_IN_MASK = "observations-in-mask"
    NO_ASSISTANT_MASK = "no-assistant-mask"
    FOREIGN_TOKEN_IDS = "foreign-token-ids"
    # of runs
    ERROR_RUNS = "error-runs"
    MISSING_PROMPTS = "missing-prompts"
    MISSING_RESPONSES = "missing-responses"
    TURNS_WITHOUT_ACTION = "turns-without-action"
    DUPLICATE_RUNS = "duplicate-runs"
    DIFFERENT_OPENINGS = "different-openings"
    SAME_OPENING = "same-opening"
    SINGLE_RUN_TASKS = "single-run-tasks"
    EQUAL_RETURNS = "equal-returns"
    RETURNS_OUT_OF_RANGE = "returns-out-of-range"
    MIXED_REWARD_SCALES = "mixed-reward-scales"
    NO_DIVERSITY = "no-diversity"
    FAILED_BEST = "failed-best"
    NEVER_MERGING = "never-merging"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule found."""

    rule: Rule
    severity: Severity
    count: int
    """Of `total` records of the kind that `unit` names."""
    total: int
    unit: str
    says: str
    """What is so of them: the rest of a sentence that begins with the count."""
    places: tuple[str, ...]
    """The first `MOST_PLACES` of them: file:line, record, task."""
    effect: str
    """What training would do."""
    fix: str

    def record(self) -> dict[str, Any]:
        """For machines: the fields, of plain types."""
        return {
            "code": str(self.rule),
            "severity": str(self.severity),
            "count": self.count,
            "total": self.total,
            "unit": self.unit,
            "says": self.says,
            "places": list(self.places),
            "effect": self.effect,
            "fix": self.fix,
        }

    def __str__(self) -> str:
        lines = [
            f"{self.severity:<8} {self.rule}",
            f"  {self.count:,} of {self.total:,} {self.unit} {self.says}",
            *(f"  {'  ' if i else 'at'} {place}" for i, place in enumerate(self.places)),
            f"  training: {self.effect}",
            f"  fix: {self.fix}",
        ]
        return "\n".join(lines)


def found(
    rule: Rule,
    severity: Severity,
    hits: Iterable[str],
    total: int,
    unit: str,
    *,
    says: str,
    effect: str,
    fix: str,
) -> list[Finding]:
    """A finding of the records that `hits` places; none where there are none."""
    places = list(hits)
    if not places:
        return []
    return [
        Finding(
            rule=rule,
            severity=severity,
            count=len(places),
            total=total,
            unit=unit,
            says=says,
            places=tuple(places[:MOST_PLACES]),
            effect=effect,
            fix=fix,
        )
    ]


_ORDER = list(Severity)


@dataclass(frozen=True, slots=True)
class Findings(Sequence[Finding]):
    """What a lint found, the worst first, and what it looked at."""

    findings: tuple[Finding, ...]
    kind: str
    """What was given, in words."""
    num_given: int
    skipped: Mapping[str, int]
    """How many records of these no rule looked into, by reason."""
    not_run: Mapping[str, str]
    """Rules that were not asked, and why."""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.findings)

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Finding]: ...
    def __getitem__(self, index: int | slice) -> Finding | Sequence[Finding]:
        return self.findings[index]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    @property
    def num_linted(self) -> int:
        return self.num_given - sum(self.skipped.values())

    def num_of(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)

    def record(self) -> dict[str, Any]:
        """For machines."""
        return {
            "kind": self.kind,
            "num_given": self.num_given,
            "num_linted": self.num_linted,
            "skipped": dict(self.skipped),
            "num_errors": self.num_of(Severity.ERROR),
            "num_warnings": self.num_of(Severity.WARNING),
            "num_notes": self.num_of(Severity.NOTE),
            "not_run": dict(self.not_run),
            "notes": list(self.notes),
            "findings": [finding.record() for finding in self.findings],
        }

    def __str__(self) -> str:
        counts = ", ".join(
            f"{self.num_of(severity)} {severity}{'s' if self.num_of(severity) != 1 else ''}"
            for severity in Severity
        )
        told = [*self.notes]
        by_reason: dict[str, list[str]] = {}
        for rule, why in self.not_run.items():
            by_reason.setdefault(why, []).append(rule)
        told += [f"not asked ({why}): {', '.join(rules)}" for why, rules in by_reason.items()]
        told += [counts, self.account()]
        return "\n\n".join([*map(str, self.findings), "\n".join(told)])

    def account(self) -> str:
        """Where all that was given went."""
        num_skipped = self.num_given - self.num_linted
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.skipped.items())
        return (
            f"{self.num_given:,} {self.kind} = {self.num_linted:,} linted + {num_skipped:,} skipped"
            + (f" ({reasons})" if reasons else "")
        )


def sorted_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first; among equals in the order of `Rule`."""
    rules = list(Rule)
    return tuple(sorted(findings, key=lambda f: (_ORDER.index(f.severity), rules.index(f.rule))))
