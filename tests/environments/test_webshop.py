"""WebShop as an environment: an invented shop by hand, and the real small one."""

from __future__ import annotations

import functools
import random
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("snowballstemmer")
pytest.importorskip("rapidfuzz")

from support.webshop_data import LAMP, REAL, RECORDS, needs_real_shop, record, write_shop

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.environments.options import WebShopOptions
from w2stree.environments.webshop import WebShop
from w2stree.errors import EnvironmentFailure, InvalidInput
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.rollout import EpisodePlan, rollout

SEP = " [SEP] "


@pytest.fixture
def shop(tmp_path: Path) -> WebShop:
    return WebShop(write_shop(tmp_path, RECORDS))


def goal_task(shop: WebShop, *words: str) -> str:
    """The task whose instruction has all these words."""
    everything = [t for split in ("train", "dev", "test") for t in shop.tasks(split)]
    return next(t for t in everything if all(w in shop.reset(t)[0] for w in words))


def test_every_choice_of_options_is_a_goal(shop: WebShop) -> None:
    everything = [t for split in ("test", "dev", "train") for t in shop.tasks(split)]
    assert everything == [f"webshop/synthetic/{i}" for i in range(5)]
    table = "find me tables with solid wood with color: {}, and size: {}"
    wanted = [
        table.format(c, s) for c in ("dark oak", "snow white | cream") for s in ("small", "large")
    ]
    # 1,120 dollars are above every price bound: no price is asked for.
    shown = [shop.reset(task)[0] for task in everything]
    for text in wanted:
        assert f"WebShop{SEP}Instruction:{SEP}{text}{SEP}Search" in shown


def test_pages_and_links(shop: WebShop) -> None:
    task = goal_task(shop, "dark oak", "small")
    statement, info = shop.reset(task)
    instruction = statement.split(SEP)[2]
    head = f"Instruction:{SEP}{instruction}{SEP}Back to Search{SEP}"
    assert info["admissible_actions"] == [f"search[{instruction}]"]

    results, *_, info = shop.step("search[Moonbeam lamp]")
    lamp = f"B000000002{SEP}Moonbeam Desk Lamp{SEP}$20.0 to $40.0"
    shade = f"B000000003{SEP}Moonbeam Lamp Shade{SEP}$100.0"  # says "lamp" twice: first
    assert results == f"{head}Page 1 (Total results: 2){SEP}Next >{SEP}{shade}{SEP}{lamp}"
    assert info["admissible_actions"] == [
        "click[b000000002]", "click[b000000003]", "click[back to search]", "click[next >]",
    ]  # fmt: skip

    shop.step("search[table]")
    item, *_, info = shop.step("click[B000000001]")
    options = f"color{SEP}dark oak{SEP}snow white | cream{SEP}size{SEP}small{SEP}large"
    assert item == (
        f"{head}< Prev{SEP}{options}{SEP}Oakhill Reading Table{SEP}Price: $1120.0{SEP}"
        f"Rating: N.A.{SEP}Description{SEP}Features{SEP}Reviews{SEP}Buy Now"
    )
    assert "click[snow white | cream]" in info["admissible_actions"]
    assert shop.step("click[Dark Oak]")[0] == item  # a chosen option is not shown, as in WebShop

    assert shop.step("click[Description]")[0] == f"{head}< Prev{SEP}A sturdy table."
    shop.step("click[< Prev]")
    features = f"{head}< Prev{SEP}Made of solid oak.{SEP}Easy to assemble."
    assert shop.step("click[features]")[0] == features


def test_buying_scores_what_was_chosen(shop: WebShop) -> None:
    shop.reset(goal_task(shop, "dark oak", "small"))
    for action in ("search[oak table]", "click[b000000001]", "click[features]", "click[< prev]"):
        shop.step(action)
    shop.step("click[small]")  # and no color: 2 attributes, 1 option and the price, of 5
    observation, reward, terminated, truncated, info = shop.step("click[buy now]")
    assert (reward, info["score"]) == (0.8, 0.8)
    assert (terminated, truncated) == (True, False)
    assert observation.startswith("Thank you for shopping with us!")
    assert info["admissible_actions"] == []


def test_options_survive_the_detail_pages_and_not_a_new_search(shop: WebShop) -> None:
    task = goal_task(shop, "dark oak", "small")
    found = ("search[table]", "click[b000000001]")
    chosen = ("click[dark oak]", "click[small]")
    for middle, score in (
        (("click[reviews]", "click[< prev]"), 1.0),
        (("click[< prev]", "click[b000000001]"), 0.6),
        (("click[back to search]", *found), 0.6),
    ):
        shop.reset(task)
        for action in (*found, *chosen, *middle):
            shop.step(action)
        assert shop.step("click[buy now]")[1] == pytest.approx(score)


@pytest.mark.parametrize(
    "action", ["click[search]", "click[buy now]", "click[small]", "buy[x]", "search[]", "", "look"]
)
def test_what_a_page_does_not_have_changes_nothing_and_says_so(shop: WebShop, action: str) -> None:
    statement, before = shop.reset("webshop/synthetic/0")
    observation, reward, terminated, truncated, info = shop.step(action)
    assert observation == f"Invalid action! [SEP] {statement}"
    assert (reward, terminated, truncated, info) == (0.0, False, False, before)


def test_the_step_limit_truncates_with_score_0(tmp_path: Path) -> None:
    shop = WebShop(write_shop(tmp_path, RECORDS), max_steps=2)
    shop.reset("webshop/synthetic/0")
    assert shop.step("search[table]")[2:4] == (False, False)
    _, _, terminated, truncated, info = shop.step("click[b000000001]")
    assert (terminated, truncated, info["score"]) == (False, True, 0.0)
    shop.reset("webshop/synthetic/0")
    assert shop.step("nonsense")[2:4] == (False, False)


def test_results_come_ten_a_page(tmp_path: Path) -> None:
    lamps = [record(f"L{i:09}", f"Lamp number {i}") for i in range(12)]
    shop = WebShop(write_shop(tmp_path, [*RECORDS[:1], *lamps]))
    shop.reset("webshop/synthetic/0")
    first, *_ = shop.step("search[lamp]")
    assert "Page 1 (Total results: 12)" in first
    assert "< Prev" not in first
    second, *_, info = shop.step("click[next >]")
    assert "Page 2 (Total results: 12) [SEP] < Prev [SEP] Next > [SEP] L000000010" in second
    assert "click[l000000011]" in info["admissible_actions"]
    assert "click[l000000009]" not in info["admissible_actions"]
    assert shop.step("click[next >]")[0].endswith(
        "Page 3 (Total results: 12) [SEP] < Prev [SEP] Next >"
    )
    shop.step("click[< prev]")
    shop.step("click[l000000011]")
    assert shop.step("click[< prev]")[0] == second  # back to the page it was found on


def test_an_item_s_detail_pages_do_not_lose_to_options_of_their_names(tmp_path: Path) -> None:
    options = {
        "Kind": [{"value": "Features"}, {"value": "search"}, {"value": "two"}],
        "No": [{"value": "two"}],
    }
    lamp = LAMP | {"customization_options": options, "small_description": ["Bright."]}
    shop = WebShop(write_shop(tmp_path, [lamp]))
    shop.reset("webshop/synthetic/0")
    shop.step("search[lamp]")
    *_, info = shop.step("click[b000000002]")
    assert "click[search]" not in info["admissible_actions"]
    assert shop.step("click[features]")[0].endswith("Bright.")


def test_prices_are_drawn_as_the_authors_server_draws_them(tmp_path: Path) -> None:
    shop = WebShop(write_shop(tmp_path, RECORDS), price_seed=7)
    random.seed(7)
    price = random.uniform(20.0, 40.0)
    bounds = [10.0 * i for i in range(1, 100) if 10.0 * i > price][:4]
    _, upper = sorted(random.sample(bounds, 2))
    assert (
        f"efficient, and price lower than {upper:.2f} dollars"
        in shop.reset(goal_task(shop, "lamps"))[0]
    )


def test_human_goals_name_values_only(tmp_path: Path) -> None:
    shop = WebShop(write_shop(tmp_path, RECORDS), goals="human")
    assert shop.tasks("train") == ["webshop/human/0"]  # the wish without attributes is left out
    assert "i want a small oak table [SEP] Search" in shop.reset("webshop/human/0")[0]
    turns = shop.expert()
    assert [t.action for t in turns][1:] == ["click[b000000001]", "click[small]", "click[buy now]"]
    for turn in turns:
        *_, info = shop.step(turn.action)
    assert info["score"] == 1.0


@pytest.mark.parametrize("index", range(5))
def test_the_expert_s_every_action_is_admissible(shop: WebShop, index: int) -> None:
    _, info = shop.reset(f"webshop/synthetic/{index}")
    for turn in shop.expert():
        assert turn.action in info["admissible_actions"]
        *_, info = shop.step(turn.action)
    assert info["score"] == 1.0


def test_the_expert_takes_the_wanted_option_among_like_ones(tmp_path: Path) -> None:
    colors = {"Color": [{"value": v} for v in ("snow white", "cream white", "white")]}
    shop = WebShop(write_shop(tmp_path, [LAMP | {"customization_options": colors}]))
    for color in ("snow white", "white"):
        shop.reset(goal_task(shop, f"color: {color}"))
        assert [t.action for t in shop.expert()][2] == f"click[{color}]"


def test_the_full_files_are_taken_where_there_are_both(tmp_path: Path) -> None:
    write_shop(tmp_path, RECORDS)
    write_shop(tmp_path, [LAMP], size="")
    assert len(WebShop(tmp_path).tasks("train")) == 1


def test_wrong_data_and_options_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBSHOP_DATA", raising=False)
    with pytest.raises(InvalidInput, match=r"set \$WEBSHOP_DATA"):
        WebShop()
    with pytest.raises(InvalidInput, match=r"no items_shuffle.json with items_ins_v2.json"):
        WebShop(tmp_path)
    write_shop(tmp_path, RECORDS)
    with pytest.raises(InvalidInput, match="goals is 'all'; use synthetic or human"):
        WebShop(tmp_path, goals="all")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="max_steps is 0"):
        WebShop(tmp_path, max_steps=0)
    shop = WebShop(tmp_path)
    with pytest.raises(EnvironmentFailure, match="call reset"):
        shop.step("search[x]")
    for task_id in ("webshop/human/0", "webshop/synthetic/5", "webshop/synthetic/-1"):
        with pytest.raises(InvalidInput, match="expected 'webshop/synthetic/<index>'"):
            shop.reset(task_id)
    with pytest.raises(InvalidInput, match="split is 'all'"):
        shop.tasks("all")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("items_shuffle_1000.json", "{}", "expected an array of products"),
        ("items_shuffle_1000.json", "[]", "no products"),
        ("items_shuffle_1000.json", '[{"asin": "B000000001"', "not readable as JSON"),
        ("items_shuffle_1000.json", '[{"asin": "B000000001"}]', "product 0: KeyError"),
        ("items_ins_v2_1000.json", "[]", "expected an object by asin"),
        ("items_ins_v2_1000.json", '{"B000000001": {"instruction": 3}}', "product|record"),
        ("items_human_ins_1000.json", '{"B000000001": [{}]}', "a record is not one of WebShop's"),
    ],
)
def test_torn_files_are_named(tmp_path: Path, file: str, content: str, message: str) -> None:
    write_shop(tmp_path, RECORDS)
    (tmp_path / file).write_text(content)
    if message == "product|record":
        assert len(WebShop(tmp_path).tasks("train")) == 0  # an instruction about nothing
        return
    with pytest.raises(InvalidInput, match=f"{file}: .*{message}"):
        WebShop(tmp_path, goals="human" if "human" in file else "synthetic")


def test_a_configuration_names_the_shop(tmp_path: Path) -> None:
    write_shop(tmp_path, RECORDS)
    options = WebShopOptions(data=tmp_path, goals="human", max_steps=1)
    shop = options.factory()()
    shop.reset("webshop/human/0")
    assert shop.step("search[oak]")[3]  # one step is the limit


@needs_real_shop
def test_the_small_shop_has_the_published_goals_and_starts_fast() -> None:
    started = time.process_time()
    shop = WebShop(REAL)
    assert time.process_time() - started < 20  # about one second on an idle core
    sizes = {split: len(shop.tasks(split)) for split in ("train", "dev", "test")}
    assert sizes == {"train": 5410, "dev": 1000, "test": 500}
    human = WebShop(REAL, goals="human")
    assert sum(len(human.tasks(split)) for split in sizes) == 13


def expert_scores(shop: WebShop, tasks: list[str]) -> list[float]:
    scores = []
    for task in tasks:
        shop.reset(task)
        terminated = truncated = False
        for turn in shop.expert():
            assert not (terminated or truncated)
            _, _, terminated, truncated, info = shop.step(turn.action)
        assert terminated
        scores.append(info["score"])
    return scores


@needs_real_shop
def test_the_expert_buys_what_the_small_shop_s_customers_want() -> None:
    shop = WebShop(REAL)
    everything = [t for split in ("train", "dev", "test") for t in shop.tasks(split)]
    scores = expert_scores(shop, random.Random(0).sample(everything, 100))
    assert sum(scores) / 100 >= 0.985  # over all goals it is 0.990
    human = WebShop(REAL, goals="human")
    tasks = [t for split in ("train", "dev", "test") for t in human.tasks(split)]
    assert expert_scores(human, tasks) == [1.0] * 13


@pytest.mark.slow
@needs_real_shop
def test_the_expert_over_all_goals_of_the_small_shop() -> None:
    shop = WebShop(REAL)
    scores = expert_scores(shop, [t for s in ("train", "dev", "test") for t in shop.tasks(s)])
    assert sum(scores) / len(scores) >= 0.99


@needs_real_shop
def test_the_small_shop_in_its_processes() -> None:
    factory = functools.partial(WebShop, REAL)
    plans = [EpisodePlan(f"webshop/synthetic/{i}", 0, Sampling(), 3) for i in range(6)]

    def play(size: int) -> dict[str, Any]:
        with EnvironmentPool(factory, size) as pool:
            return {t.task_id: t for t in rollout(pool, RandomPolicy(), plans, instruction="Shop.")}

    played = play(2)
    assert played == play(1)
    assert {t.status for t in played.values()} <= {"done", "truncated"}
    assert all(t.steps[0].action.startswith("search[") for t in played.values())
    with EnvironmentProcess(factory) as process, pytest.raises(InvalidInput, match="task id"):
        process.call("reset", "webshop/synthetic/6910")
