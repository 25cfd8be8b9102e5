"""Which examples a micro-batch holds: neighbours of one tree together, and as many as asked for.

trees      a a a a a b b c c c         bundles of up to 4, neighbours in the trie
bundles    aaaa a bb ccc               shuffled each epoch, by the seed and the epoch
order      c c c a a a a b b a
batches    c c c a │ a a a b │ b a     4 each, the last one smaller; a cut bundle goes on
ranks      0         1         0       in turn; who has none at the end gets one of weight 0

A step is thus the examples that its arguments say, in one process or in several, in however many
micro-batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from w2stree.training.trees.cut import parts
from w2stree.training.trees.examples import Example
from w2stree.training.trees.pack import Pack, pack
from w2stree.training.trees.tries import Ints


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """A micro-batch: its examples, and the packs that hold their sequences."""

    examples: list[Example]
    packs: list[tuple[Pack, Ints]]
    """Each with the sequences that it holds, counted over all examples."""

    @property
    def num_row_tokens(self) -> int:
        """Of all sequences, shared ones counted each time; none of an example without weight."""
        return sum(len(s.ids) for e in self.examples if e.weight for s in e.sequences)

    @property
    def num_computed_tokens(self) -> int:
        return sum(p.num_nodes for p, _ in self.packs if any(e.weight for e in self.examples))


@dataclass(frozen=True, slots=True)
class Packing:
    """Makes a `Batch` of examples; packs of more than `max_tokens` distinct tokens are cut."""

    max_tokens: int

    def __call__(self, examples: list[Example]) -> Batch:
        sequences = [s for e in examples for s in e.sequences]
        chosen = parts(sequences, self.max_tokens)
        return Batch(examples, [(pack([sequences[i] for i in c.tolist()]), c) for c in chosen])


def bundles(examples: Sequence[Example], size: int) -> list[Ints]:
    """Indices of examples of one tree that share most, at most `size` together.

    Trees come in the order of their first examples; in a tree, examples by their first sequence's
    ids, so that neighbours share their beginnings. O(tokens log examples).
    """
    trees: dict[int, list[int]] = {}
    for i, example in enumerate(examples):
        trees.setdefault(example.tree, []).append(i)
    found: list[Ints] = []
    for members in trees.values():
        members.sort(key=lambda i: examples[i].sequences[0].ids.astype(">u4").tobytes())
        found += [np.array(members[b : b + size]) for b in range(0, len(members), size)]
    return found


class Batches:
    """A sampler of batches for one of `num_ranks` processes; all get equally many.

    `-1 - i` stands for example i without weight: what a rank computes that has nothing left to do.
    `seed` None keeps the examples' own order.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        size: int,
        *,
        seed: int | None,
        rank: int = 0,
        num_ranks: int = 1,
        drop_last: bool = False,
    ) -> None:
        self._bundles = [np.arange(len(examples))] if seed is None else bundles(examples, size)
        self._size, self._seed, self._drop_last = size, seed, drop_last
        self._rank, self._num_ranks = rank, num_ranks
        self._num_examples = len(examples)
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(self._num_examples, self._size)
        num_batches = whole + bool(rest and not self._drop_last)
        if self._drop_last:
            return num_batches // self._num_ranks
        return -(-num_batches // self._num_ranks)

    def __iter__(self) -> Iterator[list[int]]:
        order = self._order()
        for i in range(len(self)):
            begin = (i * self._num_ranks + self._rank) * self._size
            batch = order[begin : begin + self._size].tolist()
            yield batch or [-1 - int(order[0])]

    def _order(self) -> Ints:
        if self._seed is None or not self._bundles:
            return np.concatenate([*self._bundles, np.empty(0, np.int64)])
        shuffled = np.random.default_rng([self._seed, self._epoch]).permutation(len(self._bundles))
        return np.concatenate([self._bundles[i] for i in shuffled])


class Examples(Dataset[Example]):
    """Examples by the numbers that `Batches` gives."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Example:
        if index < 0:
            return replace(self._examples[-1 - index], weight=0.0)
        return self._examples[index]


class BatchLoader(DataLoader[Any]):
    """A loader whose batches are those of an epoch."""

    def set_epoch(self, epoch: int) -> None:
        batches: Any = self.batch_sampler
        batches.set_epoch(epoch)
