"""Torn, altered and hostile forest files: one typed error that names the place."""

from __future__ import annotations

import math
import runpy
import struct
from pathlib import Path

import numpy as np
import pytest
from support.comparisons import assert_same_forest
from support.forest_files import (
    CHECKSUM,
    EPISODES,
    encode,
    forge,
    lay_out,
    parse,
    patch,
    place,
    reopen,
    seal,
    sections,
    values,
    with_rule,
)
from support.strategies import episode

from w2stree import Forest, InvalidInput, _core, build_forest, open_forest
from w2stree.errors import ForestFileError

pytestmark = pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories")


@pytest.fixture
def forest() -> Forest:
    return with_rule(build_forest(EPISODES))


def test_golden_files() -> None:
    """What this version writes, on every platform; also the fuzz target's corpus."""
    folder = Path(__file__).parents[2] / "cpp" / "fuzz"
    made = runpy.run_path(str(folder / "make_corpus.py"))["corpus"]()
    committed = {p.name: p.read_bytes() for p in (folder / "corpus" / "forest_file").iterdir()}
    assert made == committed


def test_layout_is_the_documented_one(forest: Forest) -> None:
    file = encode(forest)
    magic, version, count, size, num_errors = struct.unpack_from("<8sIIQq", file)
    assert magic == b"\x89W2ST\r\n\x1a" and (version, count) == (2, 27)
    assert size == len(file) and num_errors == 1
    assert seal(file) == file  # checksums are where and what the header comment says
    end = CHECKSUM + 8
    for section in sections(file).values():
        assert section.offset == (end + 63) // 64 * 64
        assert file[end : section.offset] == bytes(section.offset - end)
        end = section.offset + section.size
    assert end == len(file)
    assert values(file, "action_id") == forest.action_id.tolist()
    assert values(file, "parent")[0] == -1
    assert bytes(int(v) for v in values(file, "actions.data")) == b"abcdef"


def test_every_bit_counts(forest: Forest) -> None:
    file = bytearray(encode(with_rule(build_forest([episode("ab", 1.0), episode("aC", 0.5)]))))
    for bit in range(8 * len(file)):
        file[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ForestFileError, match=r"^byte \d+"):
            parse(file)
        file[bit // 8] ^= 1 << bit % 8
    parse(file)


def test_every_byte_counts(forest: Forest) -> None:
    file = encode(forest)
    for size in range(len(file)):
        with pytest.raises(ForestFileError, match=r"^byte \d+"):
            parse(file[:size])
        with pytest.raises(ForestFileError, match=r"^byte \d+"):
            parse(file[:size] + bytes(len(file) - size) if any(file[size:]) else file[:size])
    for extra in (b"\0", b"\0" * 64, file):
        with pytest.raises(ForestFileError, match=rf"^byte {len(file)}: the file has"):
            parse(file + extra)


def test_torn_files_name_the_file_the_byte_and_the_fix(saved: Path) -> None:
    whole = saved.read_bytes()
    action = place(whole, "action_id", 2)
    for content, match in (
        (b"", "byte 0: the file is empty"),
        (b"PK\3\4" * 99, "byte 0: expected the mark of a forest file"),
        (whole[:5], "byte 5: the header ends early"),
        (whole[:1000], "byte 1000: the header ends early"),
        (whole[:2000], f"byte 2000: the file has 2000 bytes; expected {len(whole)}"),
        (whole[:8] + b"\3" + whole[9:], "byte 8, version=3: expected 1 or 2"),
        (whole[:8] + b"\1" + whole[9:], "byte 1040: the header's checksum does not match"),
        (whole[:99] + b"!" + whole[100:], "byte 1328: the header's checksum does not match"),
        (whole[:action] + b"\7" + whole[action + 1 :], "byte 1344: the checksum of section acti"),
    ):
        saved.write_bytes(content)
        with pytest.raises(ForestFileError) as caught:
            open_forest(saved)
        message = str(caught.value)
        assert message.startswith(f"{saved}: {match}") and "save the forest again" in message


def test_missing_files_and_folders_are_os_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_forest(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        open_forest(tmp_path)


# The chains of EPISODES: 0 is x, 1 a, 2 ab, 3 aBcd, 4 e, 5 f; 6 is y with abc.
HOSTILE = [
    ("action_id", 0, 0, "-1 at a root"),
    ("action_id", 4, 6, "the number of a text"),
    ("action_id", 4, -1, "the number of a text"),
    ("action_id", 2, 6, "the distinct actions of the children"),
    ("action_id", 8, 3, "-1 at a root"),
    ("observation_id", 8, 3, "-1 at a root"),
    ("observation_id", 3, 2, "the number of a text"),
    ("observation_id", 3, 0, "a step that no sibling has"),
    ("first_node", 0, 1, "0"),
    ("first_node", 2, 1, "less than the one after it"),
    ("first_node", 7, 13, "the number of nodes"),
    ("parent", 0, 0, "-1 at a root"),
    ("parent", 1, -1, "an earlier chain of the tree"),
    ("parent", 1, 2**31 - 1, "an earlier chain of the tree"),
    ("parent", 3, 3, "an earlier chain of the tree"),
    ("parent", 6, 5, "-1 at a root"),
    ("parent", 3, 2, "the parent's depth and length together"),
    ("parent", 4, 1, "the parent's depth and length together"),
    ("subtree_end", 0, 7, "the next tree's root"),
    ("subtree_end", 2, 4, "the chain whose next child this is, in pre-order"),
    ("subtree_end", 5, 2**31 - 1, "the end of its last child, or the next chain at a leaf"),
    ("depth", 0, 1, "0 at a root"),
    ("depth", 3, 3, "the parent's depth and length together"),
    ("num_actions", 0, 2, "the distinct actions of the children"),
    ("num_actions", 1, 2, "the distinct actions of the children"),
    ("num_actions", 2, 1, "the distinct actions of the children"),
    ("num_trajectories", 0, 7, "the end of the slice before it"),
    ("num_trajectories", 0, 8, "no more than there are"),
    ("num_trajectories", 6, -1, "no more than there are"),
    ("num_trajectories", 2, 0, "at least 1 below a root, and fewer than at the parent"),
    ("num_trajectories", 2, 3, "at least 1 below a root, and fewer than at the parent"),
    ("num_terminal", 0, -1, "between 0 and num_trajectories"),
    ("num_terminal", 2, 3, "between 0 and num_trajectories"),
    ("num_terminal", 2, 1, "a trajectory that ends at the chain whose slot this is"),
    ("num_terminal", 0, 2, "the end of the slice before it, inside the tree's"),
    ("first_trajectory", 0, 1, "the end of the slice before it"),
    ("first_trajectory", 3, 2, "the end of the slice before it, inside the tree's"),
    ("first_trajectory", 3, -1, "the end of the slice before it, inside the tree's"),
    ("return_sum", 0, 2.5000001, "the sum of the returns through the chain"),
    ("return_sum", 2, math.nan, "the sum of the returns through the chain"),
    ("return_sum", 3, math.inf, "the sum of the returns through the chain"),
    ("root_chain", 0, 1, "0"),
    ("root_chain", 1, 0, "more than the one before it"),
    ("root_chain", 2, 8, "the number of chains"),
    ("end_chain", 0, -1, "a trajectory that ends at the chain whose slot this is"),
    ("end_chain", 0, 7, "a trajectory that ends at the chain whose slot this is"),
    ("end_chain", 0, 3, "a trajectory that ends at the chain whose slot this is"),
    ("trajectory_order", 1, 7, "a trajectory"),
    ("trajectory_order", 1, -1, "a trajectory"),
    ("trajectory_order", 1, 3, "input order among trajectories of one ending"),
    ("trajectory_order", 1, 2, "a trajectory that ends at the chain whose slot this is"),
    ("total_return", 1, math.inf, "a finite number"),
    ("total_return", 1, math.nan, "a finite number"),
    ("total_return", 1, 0.5, "the sum of the returns through the chain"),
    ("task_ids.offset", 0, 1, "0"),
    ("task_ids.offset", 1, 3, "at least the offset before"),
    ("task_ids.offset", 1, -1, "at least the offset before"),
    ("actions.offset", 6, 5, "the size of data"),
    ("actions.data", 3, 0xFF, "UTF-8"),
    ("observations.data", 0, 0xBF, "UTF-8"),
    ("rule.data", 3, 0xFF, "UTF-8"),
    ("rule.offset", 0, 1, "0"),
    ("rule.offset", 2, 10, "nothing, since `rule` names no embed"),
    ("min_similarity", 0, 0.0, "a number in (0, 1]"),
    ("min_similarity", 0, 1.5, "a number in (0, 1]"),
    ("min_similarity", 0, math.nan, "a number in (0, 1]"),
    ("merges.made", 1, 2, "the number of a text"),
    ("merges.made", 0, -1, "the number of a text"),
    ("merges.made", 1, 0, "the number of another text than made"),
    ("merges.seen", 0, 2, "the number of another text than made"),
    ("merges.seen", 0, -1, "the number of another text than made"),
    ("merges.count", 1, 0, "at least 1"),
]


@pytest.mark.parametrize(("name", "index", "value", "expected"), HOSTILE)
def test_hostile_values_are_refused_where_they_are(
    forest: Forest, name: str, index: int, value: float, expected: str
) -> None:
    file = encode(forest)
    assert len(values(file, "parent")) == 7
    with pytest.raises(ForestFileError) as caught:
        parse(patch(file, name, index, value))
    assert str(caught.value).endswith(f"expected {expected}")
    byte = int(str(caught.value).split(",")[0].removeprefix("byte "))
    assert CHECKSUM < byte < len(file)


def test_the_error_names_section_index_value_and_byte(forest: Forest) -> None:
    file = encode(forest)
    with pytest.raises(ForestFileError) as caught:
        parse(patch(file, "depth", 3, 9))
    assert str(caught.value) == (
        f"byte {place(file, 'depth', 3)}, depth[3]=9: expected the parent's depth and length "
        "together"
    )


def test_texts_are_cut_between_characters(tmp_path: Path) -> None:
    file = encode(build_forest([episode("a", 1.0, "é"), episode("a", 1.0, "")]))
    with pytest.raises(ForestFileError, match="the beginning of a character"):
        parse(patch(file, "task_ids.offset", 1, 1))


def test_trees_have_different_tasks(tmp_path: Path) -> None:
    file = encode(build_forest([episode("a", 1.0, "x"), episode("a", 1.0, "y")]))
    (tmp_path / "f").write_bytes(patch(file, "task_ids.data", 1, ord("x")))
    with pytest.raises(ForestFileError, match="two trees have one task id"):
        open_forest(tmp_path / "f")


def test_a_rule_is_told_in_one_way_or_not_at_all(forest: Forest) -> None:
    file = encode(forest)
    names, offsets = b"sort_words" + b"all-MiniLM-L6-v2" + b"distinctions", [0, 10, 26, 38]
    assert bytes(int(b) for b in values(file, "rule.data")) == names
    assert values(file, "rule.offset") == offsets
    nothing: dict[str, list[float]] = {
        **{"rule.data": [], "rule.offset": [0], "min_similarity": []},
        **{"merges.made": [], "merges.seen": [], "merges.count": []},
    }
    parse(forge(file, nothing))
    exact = {**nothing, "rule.data": [*names[:10]], "rule.offset": [0, 10, 10, 10]}
    parse(forge(file, exact))
    for columns, expected in (
        ({**nothing, "rule.offset": [0, 0]}, "4 elements"),
        ({**nothing, "min_similarity": [0.9]}, "nothing, since `rule` names no embed"),
        ({**exact, "rule.offset": [0, 4, 4, 10]}, "no guard, since `rule` names no embed"),
        ({"min_similarity": []}, "a number, since `rule` names embed"),
        ({"min_similarity": [0.9, 0.9]}, "1 elements"),
        ({"merges.count": [1]}, "2 elements"),
        ({"merges.made": [1, 0], "merges.seen": [0, 1]}, "merges in ascending order"),
        ({"merges.made": [0, 0], "merges.seen": [1, 1]}, "merges in ascending order"),
        (
            {**exact, "merges.made": [0], "merges.seen": [1], "merges.count": [1]},
            "nothing, since the rule is exact or unknown",
        ),
    ):
        with pytest.raises(ForestFileError, match=f"expected {expected}$"):
            parse(forge(file, columns))


def test_sums_that_overflow_or_round_are_as_built(tmp_path: Path) -> None:
    for returns in ([1e308] * 3, [1e308, -1e308, 1e308, 1e308], [0.1] * 50, [1e16, 1.0, -1e16]):
        forest = build_forest([episode("ab"[i % 2], r) for i, r in enumerate(returns)])
        assert_same_forest(forest, reopen(forest, tmp_path))


def test_sizes_must_agree(forest: Forest) -> None:
    """A section longer or shorter by one element, the rest moved along."""
    file = encode(forest)
    for name, section in sections(file).items():
        for change in (-1, 1):
            with pytest.raises(ForestFileError, match=r"^byte \d+"):
                parse(resized(file, name, section.size + change * section.format.size))
        if section.format.size > 1:
            with pytest.raises(ForestFileError, match=f"size of {name}=.*a multiple of"):
                parse(resized(file, name, section.size + 1))


def resized(file: bytes, resize: str, new_size: int) -> bytes:
    contents = {n: file[s.offset : s.offset + s.size] for n, s in sections(file).items()}
    contents[resize] = contents[resize].ljust(new_size, b"\0")[:new_size]
    return lay_out(file, contents)


@pytest.mark.parametrize("offset", [0, 1, 2**63, 2**64 - 64, 2**64 - 1])
def test_sections_lie_inside_the_file(forest: Forest, offset: int) -> None:
    file = bytearray(encode(forest))
    for place_ in range(32, CHECKSUM, 48):
        for field in (24, 32):
            changed = bytearray(file)
            struct.pack_into("<Q", changed, place_ + field, offset)
            struct.pack_into("<Q", changed, CHECKSUM, _core.xxh64(changed[:CHECKSUM]))
            with pytest.raises(ForestFileError, match=r"^byte \d+, (offset|size) of |checksum|ex"):
                parse(changed)


def test_refuses_buffers_with_gaps() -> None:
    with pytest.raises(InvalidInput, match="gaps"):
        _core.parse_forest_file(np.zeros(4096, np.uint8)[::2])  # type: ignore[arg-type]
