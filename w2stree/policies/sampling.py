"""A token for each row of logits, sampled on the device the logits are on.

    logits (rows, vocabulary) ── the allowed ones ── normaliser, likeliest few ──┐  device
    token, log-probability  <── nucleus <── a draw of the episode's own rng <────┘  host

The vocabulary stays on the device: what crosses is a row's head, its likeliest entries.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from w2stree.errors import ModelFailure
from w2stree.policies.protocol import Episode

Sampled = tuple[int, float]
"""A token and its log-probability under the distribution it was sampled from."""

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

_HEAD = 64  # entries; of a trained model's nucleus nearly always enough
_SMALL = 1 << 13  # so many columns, and the head is taken on the host
_BLOCK = 128  # neighbouring entries, searched as one by the greatest of them
_AT_ONCE = 1 << 18  # entries held in float64
_MAX_KEPT = 1 << 22  # allowed ids kept on the device, of all sets together


class Sampler:
    """Temperature first, then the nucleus: the fewest tokens whose mass reaches `top_p`, ties to
    the lowest id. Probabilities are of float64.

    Exactly one number is drawn from the episode's generator for a token, none for a greedy one,
    so a run's samples do not depend on the batch around it. Greedy choices have log-probability 0.
    """

    def __init__(self) -> None:
        # By the array's identity; the array is kept too, so that no other gets its identity.
        self._kept: dict[int, tuple[Ids, torch.Tensor]] = {}
        self._num_kept = 0

    def sample(
        self,
        logits: torch.Tensor,
        allowed: Sequence[Ids | None],
        episodes: Sequence[Episode],
    ) -> list[Sampled | ModelFailure]:
        """One token for each row of `logits` (rows, vocabulary), float32.

        `allowed` has each row's sorted ids, or None where any may come; one that comes again as
        the same array is on the device already. A row without probabilities, its greatest logit
        no finite number, is a `ModelFailure`. O(vocabulary) a row on the device; on the host
        O(head), all of the vocabulary only for a nucleus as wide.
        """
        free = [i for i, ids in enumerate(allowed) if ids is None]
        bound = [(i, ids) for i, ids in enumerate(allowed) if ids is not None]
        sampled: dict[int, Sampled | ModelFailure] = {}
        if free:
            scores = logits[free] if bound else logits
            sampled |= zip(free, _choices(scores, [episodes[i] for i in free]), strict=True)
        if bound:
            choices = _choices(self._only(logits, bound), [episodes[i] for i, _ in bound])
            for (i, ids), choice in zip(bound, choices, strict=True):
                if not isinstance(choice, ModelFailure):
                    choice = (int(ids[choice[0]]), choice[1])
                sampled[i] = choice
        return [sampled[i] for i in range(len(episodes))]

    def _only(self, logits: torch.Tensor, bound: Sequence[tuple[int, Ids]]) -> torch.Tensor:
        """The allowed logits of some rows, (rows, most ids); the rest is -inf, never chosen."""
        sets = [self._on_device(ids, logits.device) for _, ids in bound]
        columns = torch.nn.utils.rnn.pad_sequence(sets, batch_first=True, padding_value=-1)
        rows = torch.tensor([i for i, _ in bound], device=logits.device)[:, None]
        return logits[rows, columns].masked_fill(columns < 0, -torch.inf)

    def _on_device(self, ids: Ids, device: torch.device) -> torch.Tensor:
        if id(ids) not in self._kept:
            if self._num_kept > _MAX_KEPT:
                self._kept, self._num_kept = {}, 0
            self._kept[id(ids)] = ids, torch.tensor(ids, device=device)
            self._num_kept += len(ids)
        return self._kept[id(ids)][1]


def _choices(scores: torch.Tensor, episodes: Sequence[Episode]) -> list[Sampled | ModelFailure]:
    """The column chosen in each row of `scores` (rows, columns) and its log-probability."""
    greatest = scores.amax(dim=1)  # not a number where one of the row is none
    choices: dict[int, Sampled | ModelFailure] = {}
    greedy, drawn = [], []
    for i, (top, episode) in enumerate(zip(greatest.tolist(), episodes, strict=True)):
        if not np.isfinite(top):
            choices[i] = ModelFailure(
                f"the model's greatest logit is {top}: its weights, or numbers of too small a "
                "range (float16), give no probabilities"
            )
        elif episode.sampling.temperature == 0.0:
            greedy.append(i)
        else:
            drawn.append(i)
    if greedy:  # argmax: the first of equal ones
        columns = _rows(scores, greedy).argmax(dim=1).tolist()
        choices |= {i: (column, 0.0) for i, column in zip(greedy, columns, strict=True)}
    if drawn:
        draws = _Draws(_rows(scores, drawn), _rows(greatest, drawn), [episodes[i] for i in drawn])
        choices |= zip(drawn, draws.choices(), strict=True)
    return [choices[i] for i in range(len(episodes))]


class _Draws:
    """Rows of finite scores, each with its temperature, `top_p` and the number drawn for it."""

    def __init__(
        self, scores: torch.Tensor, greatest: torch.Tensor, episodes: Sequence[Episode]
    ) -> None:
        self._scores = scores
        self._temperature = np.array([e.sampling.temperature for e in episodes])
        self._top_p = np.array([e.sampling.top_p for e in episodes])
        self._draw = np.array([e.rng.random() for e in episodes])
        # Without a nucleus the head need only reach what was drawn.
        self._enough = np.where(self._top_p == 1.0, self._draw, self._top_p)
        self._greatest: Floats = greatest.double().cpu().numpy()
        self._mass = self._total_mass(greatest)

    def choices(self) -> list[Sampled]:
        num_rows, num_columns = self._scores.shape
        found = self._within(range(num_rows), *_head(self._scores))
        wider = (_all_on_host,) if num_columns <= _SMALL else (_wide_head, _all_sorted)
        for row in range(num_rows):
            for entries in wider:
                if row not in found:
                    found |= self._within([row], *entries(self._scores[row][None]))
        return [found[row] for row in range(num_rows)]

    def _within(self, rows: Sequence[int], values: Floats, columns: Ids) -> dict[int, Sampled]:
        """The choices of those of `rows` whose nucleus is within their head (rows, size).

        Likeliest first; of columns outside none is likelier than the head's last.
        """
        heat, top = self._temperature[rows][:, None], self._greatest[rows][:, None]
        mass = np.exp((values - top) / heat) / self._mass[rows][:, None]
        cumulative = mass.cumsum(axis=1)
        if values.shape[1] == self._scores.shape[1]:
            reaches = np.ones(len(rows), dtype=bool)
        else:  # as likely as the head's last may be some outside, of lower columns
            sure = np.where(values > values[:, -1:], mass, 0.0).sum(axis=1)
            reaches = sure >= self._enough[rows]
        found = {}
        for k in np.flatnonzero(reaches).tolist():
            top_p, draw = self._top_p[rows[k]], self._draw[rows[k]]
            nucleus = cumulative[k, : int((cumulative[k] < top_p).sum()) + 1]
            whole = 1.0 if top_p == 1.0 else nucleus[-1]
            rank = int((nucleus[:-1] <= draw * whole).sum())
            found[rows[k]] = int(columns[k, rank]), float(np.log(mass[k, rank] / whole))
        return found

    def _total_mass(self, greatest: torch.Tensor) -> Floats:
        """The softmax's denominator of each row, some rows at a time."""
        at_once = max(1, _AT_ONCE // self._scores.shape[1])
        heat = torch.from_numpy(self._temperature).to(greatest.device)
        parts = [
            torch.exp((scores.double() - top[:, None]) / t[:, None]).sum(dim=1)
            for scores, top, t in zip(
                torch.split(self._scores, at_once),
                torch.split(greatest.double(), at_once),
                torch.split(heat, at_once),
                strict=True,
            )
        ]
        total: Floats = torch.cat(parts).cpu().numpy()
        return total


def _head(scores: torch.Tensor) -> tuple[Floats, Ids]:
    """The greatest few of each row (rows, columns): values and columns, greatest first."""
    if scores.shape[1] <= _SMALL:
        every = scores.double().cpu().numpy()
        size = min(_HEAD, every.shape[1])
        column = np.argpartition(every, -size, axis=1)[:, -size:]
        value = np.take_along_axis(every, column, 1)
    else:  # in as many blocks as entries, at most: those of the greatest maxima
        blocks = _blocks(scores)
        chosen = blocks.amax(dim=2).topk(_HEAD, dim=1).indices
        within = blocks.gather(1, chosen[:, :, None].expand(-1, -1, _BLOCK)).flatten(1)
        values, at = within.topk(_HEAD, dim=1)
        columns = chosen.gather(1, at // _BLOCK) * _BLOCK + at % _BLOCK
        value, column = values.double().cpu().numpy(), columns.cpu().numpy()
    order = np.lexsort((column, -value))  # so far equal ones come in any order
    return np.take_along_axis(value, order, 1), np.take_along_axis(column, order, 1)


def _wide_head(scores: torch.Tensor) -> tuple[Floats, Ids]:
    """As `_head`, of one row: all as great as the least of the blocks' maxima."""
    least = _blocks(scores).amax(dim=2).amin()
    columns = (scores[0] >= least).nonzero().squeeze(1)
    values, order = scores[:, columns].sort(descending=True, stable=True)
    return values.double().cpu().numpy(), columns[order].cpu().numpy()


def _all_on_host(scores: torch.Tensor) -> tuple[Floats, Ids]:
    every = scores.double().cpu().numpy()
    order = np.argsort(-every, axis=1, kind="stable")
    return np.take_along_axis(every, order, 1), order


def _all_sorted(scores: torch.Tensor) -> tuple[Floats, Ids]:
    values, columns = scores.sort(descending=True, stable=True)
    return values.double().cpu().numpy(), columns.cpu().numpy()


def _blocks(scores: torch.Tensor) -> torch.Tensor:
    """(rows, columns) -> (rows, blocks, _BLOCK), the last block filled up with -inf."""
    missing = -scores.shape[1] % _BLOCK
    filled = torch.nn.functional.pad(scores, (0, missing), value=-torch.inf)
    return filled.view(len(scores), -1, _BLOCK)


def _rows(scores: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
    return scores if len(rows) == len(scores) else scores[list(rows)]
