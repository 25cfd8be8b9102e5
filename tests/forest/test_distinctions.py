"""What the default guard keeps apart, and what it lets through."""

from __future__ import annotations

import numpy as np
import pytest
from support.strategies import PROMPT

from w2stree import Merging, Step, Trajectory, build_forest
from w2stree.forest.distinctions import distinctions

pytestmark = pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories")

APART = [
    # signs, numbers, number words
    ("The balance is +5.", "The balance is -5."),
    ("The balance is 5.", "The balance is -5."),
    ("It is \u22123 degrees outside.", "It is 3 degrees outside."),
    ("temperature=-7", "temperature=7"),
    ("You scored .5 points", "You scored 5 points"),
    ("You see 2 coins", "You see 3 coins"),
    ("There are one or more keys", "There are two or more keys"),
    ("You see a key", "You see two keys"),
    ("You are in the first room", "You are in the second room"),
    ("This is the third try of 4", "This is the fourth try of 4"),
    ("2 coins and 3 keys", "3 coins and 2 keys"),
    ("It costs 1,000 credits", "It costs 1,001 credits"),
    ("It happened once", "It happened twice"),
    ("The time is 12:30", "The time is 12:45"),
    ("x < 5", "x > 5"),
    # money, units, shares
    ("Your balance is -$5.", "Your balance is $5."),
    ("Your balance is $-5.", "Your balance is $5."),
    ("Your balance is \u2212\u20ac5.", "Your balance is \u20ac5."),
    ("It costs $5", "It costs \u20ac5"),
    ("It weighs 5 kg", "It weighs 5 lb"),
    ("5 minutes are left", "5 hours are left"),
    ("The humidity fell by 5%", "The humidity fell by 5"),
    # boards and marks, where they stand alone
    ("X . .\n. O .", "X O .\n. . ."),
    ("#..@.#", "#.@..#"),
    ("* milk", "- milk"),
    # codes
    ("You are in room A12.", "You are in room A13."),
    ("You are in room A12.", "You are in room B12."),
    ("Gate B", "Gate C"),
    ("Chapter II", "Chapter III"),
    (
        "Created 3f2a9c1e-0000-4000-8000-00000000abcd",
        "Created 3f2a9c1e-0000-4000-8000-00000000abce",
    ),
    ("commit deadbeef1", "commit deadbeef2"),
    ("version 1.2.3 is installed", "version 1.3.2 is installed"),
    ("item_4_a is here", "item_4_b is here"),
    # negations
    ("It isn't here", "It is here"),
    ("It isn\u2019t locked", "It is locked"),
    ("You can't go that way", "You can go that way"),
    ("You cannot go that way", "You can go that way"),
    ("The machine doesn't move", "The machine does move"),
    ("You have no key", "You have a key"),
    ("You see nothing here", "You see something here"),
    ("He never answers", "He answers"),
    ("tea without milk", "tea with milk"),
    ("You failed to lift it", "You lifted it"),
    # opposites
    ("The alarm is activated", "The alarm is deactivated"),
    ("The door is locked", "The door is unlocked"),
    ("The lamp is on", "The lamp is off"),
    ("You are inside", "You are outside"),
    ("The cable is connected", "The cable is disconnected"),
    ("The box is empty", "The box is nonempty"),
    ("The answer is complete", "The answer is incomplete"),
    ("The token is valid", "The token is invalid"),
    ("That is possible", "That is impossible"),
    ("The order is legal", "The order is illegal"),
    ("A regular pulse", "An irregular pulse"),
    ("The parcel is wrapped", "The parcel is unwrapped"),
    ("The file is encrypted", "The file is decrypted"),
    ("The figures are aligned", "The figures are misaligned"),
    ("a useful tool", "a useless tool"),
    ("Turn clockwise", "Turn counterclockwise"),
    ("The price increased", "The price decreased"),
    ("The request was accepted", "The request was rejected"),
    ("It is to your left", "It is to your right"),
    ("The exit is to the north-east", "The exit is to the north-west"),
    ("You take the lamp", "You drop the lamp"),
    ("You hit the rat", "You missed the rat"),
    ("The server is online", "The server is offline"),
    ("The menu is expanded", "The menu is collapsed"),
    ("It ended in victory", "It ended in defeat"),
    ("The red box is lighter", "The red box is heavier"),
    ("the red key", "the blue key"),
    ("The shop opens on Monday", "The shop opens on Tuesday"),
    ("\u2713 build", "\u2717 build"),
    ("\u95e8\u662f\u5f00\u7684", "\u95e8\u662f\u5173\u7684"),
]

ALIKE = [
    ("The fridge is now open.", "The fridge is open now."),
    ("The fridge is open.", "The fridge stands open!"),
    ("It isn't here.", "It is not here."),
    ("You can't go that way.", "You cannot go that way."),
    ("You have two coins.", "You have 2 coins."),
    ("It costs 1,000 credits", "It costs 1000 credits"),
    ("This is the first room.", "You see the 1st room."),
    ("You pick up the apple.", "You picked up the apple."),
    ("You are in a kitchen.", "This is the kitchen."),
    ("You see a desk and a lamp.", "There is a lamp and a desk."),
    ("You walk into the hall.", "You enter the hall."),
    ("You see some bread.", "There is bread here."),
    ("A dish lies under the table.", "Under the table there is a dish."),
    ("The distance is unit length.", "Its distance is the unit."),
    ("You understand the letter.", "You read the letter."),
    ("The water is boiling.", "The water boils."),
    ("He opened the door.", "The door is opened by him."),
    ("The closed box", "The box: closed"),
    ("It\u2019s dark in here.", "It's dark here."),
    ("The room is unlocked", "UNLOCKED is the room"),
    ("It weighs 5 kilograms", "It weighs 5 kg"),
    ("You pay $5.", "$5 are paid."),
    ("It said: \u201cyes\u201d (twice).", "It said yes, twice..."),
]


@pytest.mark.parametrize(("one", "other"), APART)
def test_stay_apart(one: str, other: str) -> None:
    assert distinctions(one) != distinctions(other)


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_may_merge(one: str, other: str) -> None:
    assert distinctions(one) == distinctions(other)


def test_is_the_default_of_similarity() -> None:
    def same(texts: list[str]) -> np.ndarray:
        return np.ones((len(texts), 2))

    rule = Merging(min_similarity=0.9, embed=same)
    for pairs, num_children in ((APART, 2), (ALIKE, 1)):
        for texts in pairs:
            steps = [(Step("look", text),) for text in texts]
            runs = [Trajectory("t", PROMPT, steps[i], i / 2, "done") for i in (0, 1)]
            assert build_forest(runs, merging=rule).num_children[0] == num_children, texts


def test_what_it_tells() -> None:
    text = "The lamp isn't on; door A12 shows -5."
    assert distinctions(text) == ("not", "on", "a12", "-5")
    assert distinctions("room-5, between 3\u20135") == ("room-5", "3-5")
    assert distinctions("") == distinctions("Under the desk lies a dish.")[1:] == ()
