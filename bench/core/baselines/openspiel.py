"""OpenSpiel's C++ MCTS on our static tree, written as a one-player game in Gambit's efg format.

`pyspiel.MCTSBot` with UCT scores children by the same formula (mean + c * sqrt(log C / n)), so
it searches the same tree for the same thing. Its results cannot be bit-equal and are not
compared: it shuffles the actions of a new node, values it by a random play-out instead of
walking on, and counts the first visit differently. What is checked is that it ran every
simulation and that its root statistics are means of our returns. It is also more general:
every simulation clones a game state and asks it for legal actions. Hence a comparison of its
own, of what a user of the best-known C++ library gets.

`solve` is off (it would stop early), play-outs are one a simulation, the smallest possible.
Chains without a choice are collapsed before the game is written, which favours it.
"""

from __future__ import annotations

from typing import Any

import pyspiel

from bench.core.baselines.python_ucb import Tree

Game = Any


def load(tree: Tree) -> Game:
    """The tree as a game. Trees whose root has no choice are not games: give others."""
    lines = ['EFG 2 R "w2stree" { "agent" }', '""']
    infoset = outcome = 0
    pending = [0]
    while pending:
        unit = pending.pop()
        arms = tree.arms[unit]
        if arms:
            infoset += 1
            labels = " ".join(f'"{i}"' for i in range(len(arms)))
            lines.append(f'p "" 1 {infoset} "" {{ {labels} }} 0')
            pending.extend(reversed(arms))
        else:
            outcome += 1
            lines.append(f't "" {outcome} "" {{ {tree.value[unit]!r} }}')
    return pyspiel.load_efg_game("\n".join(lines) + "\n")


def search(game: Game, *, num_simulations: int, exploration: float) -> Any:
    """Makes a bot and runs it from the initial state; returns the root of its search tree."""
    bot = pyspiel.MCTSBot(
        game,
        pyspiel.RandomRolloutEvaluator(1, 7),
        exploration,
        num_simulations,
        1000,  # MB: never reached
        False,
        7,
        False,
    )
    return bot.mcts_search(game.new_initial_state())
