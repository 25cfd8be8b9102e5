"""The pipe carries data: what is none is named, and no answer costs more than its episode."""

from __future__ import annotations

import pickle
import socket
import sys
import time
from typing import Any

import numpy as np
import pytest
from support.failing import Returns, WritesBytes

from w2stree.environments.hosting import messages
from w2stree.environments.hosting.limits import Limits
from w2stree.environments.hosting.messages import (
    MAX_BYTES,
    Channel,
    MalformedMessage,
    decode,
    encode,
)
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.environments.protocol import ExpertTurn, Snapshot
from w2stree.errors import EnvironmentFailure, MissingDependency


class Text(str):
    pass


def opening(text: str) -> Any:
    return text, {"score": 0.0, "admissible_actions": []}


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("value", "came"),
    [
        (["a", 0.1, True, None, 2**63], ["a", 0.1, True, None, 2**63]),
        (("a", {"b": (1, 2)}), ["a", {"b": [1, 2]}]),
        ({"b", "a"}, ["a", "b"]),
        ([float("inf"), -0.0, 5e-324], [float("inf"), -0.0, 5e-324]),
        (b"bytes", b"bytes"),
        (Text("text"), "text"),
        ([np.float64(0.1), np.float32(0.5), np.int64(3)], [0.1, 0.5, 3]),
        (np.bool_(True), True),
        (np.str_("text"), "text"),
        (["a", ("\ud83d", {"b": "\udc00"})], ["a", ["\ud83d", {"b": "\udc00"}]]),
        (ExpertTurn("why", "what"), {"thought": "why", "action": "what"}),
        (Snapshot("t"), {"task_id": "t", "actions": [], "observations": []}),
    ],
)
def test_what_is_data_comes_as_it_is(value: Any, came: Any) -> None:
    arrived = decode(encode(["ok", value]))[1]
    assert arrived == came
    assert type(arrived) is type(came)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (object(), "it: object is no data"),
        ({"a": [0, {"b": np.zeros(3)}]}, r"it\['a'\]\[1\]\['b'\]: numpy.ndarray is no data"),
        ({"\ud83d": 1}, r"it: half a surrogate pair in a key"),
        ({"a": {1: 2}}, r"it\['a'\]: a dict with keys that are no text"),
        (2**70, "it: can't serialize ints"),
        (np.longdouble(1), r"it: numpy\.longdouble is no data"),
        (CIRCLE, "it: maximum recursion depth"),
        ("a" * (MAX_BYTES + 1), "16 MiB; at most 16"),
    ],
)
def test_what_is_no_data_is_named_with_its_place(value: Any, what: str) -> None:
    with pytest.raises(MalformedMessage, match=what):
        encode(["ok", value])
    with (
        EnvironmentProcess(lambda: Returns(value)) as process,
        pytest.raises(EnvironmentFailure, match=f"what reset returned cannot be sent: {what}"),
    ):
        process.call("reset", "task")


class _Code:
    def __reduce__(self) -> Any:
        return print, ("code of the game ran in the driver",)


def _framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(8, "big") + payload


@pytest.mark.parametrize(
    ("sent", "what"),
    [
        (
            _framed(pickle.dumps(_Code())),
            "its answer cannot be read: MessagePack data is malformed",
        ),
        (_framed(b""), "its answer cannot be read"),
        (_framed(b"\x91" * 100_000), "its answer cannot be read: maximum recursion depth"),
        (_framed(b"\xdd\xff\xff\xff\xff"), "its answer cannot be read: Input data was truncated"),
        (_framed(b"\xa1\xff"), "its answer cannot be read: 'utf-8' codec"),
        (_framed(encode(["well"])), "none of ours"),
        (_framed(encode(["ok", 1, 2])), "none of ours"),
        (_framed(encode(["error", "SystemExit", "x"])), r", task\): x$"),
        (_framed(encode(["error", "failure", "é" * 5_000_000])), "4,996,000 characters left out"),
        ((2**63).to_bytes(8, "big"), "its answer cannot be read: .* MiB; at most 16"),
        (b"a printed line that is no length", "its answer cannot be read: .* at most 16"),
    ],
)
def test_a_hostile_answer_costs_its_episode(
    sent: bytes, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        EnvironmentProcess(lambda: WritesBytes(sent)) as process,
        pytest.raises(EnvironmentFailure, match=what) as failure,
    ):
        process.call("reset", "task")
    assert len(str(failure.value)) < 5_000
    assert capfd.readouterr().out == ""


def test_half_an_answer_is_waited_for_until_the_deadline_and_no_longer() -> None:
    with (
        EnvironmentProcess(lambda: WritesBytes(_framed(b"a" * 100)[:50]), Limits(1.0)) as process,
        pytest.raises(EnvironmentFailure, match="no answer within 1 s"),
    ):
        process.call("reset", "task")


def test_deadlines_may_be_as_long_as_floats_are() -> None:
    with EnvironmentProcess(lambda: Returns(opening("on")), Limits(1e300, 1e300)) as process:
        assert process.call("reset", "task")[0] == "on"


def test_a_user_s_mistake_is_raised_as_itself_and_its_text_has_a_limit() -> None:
    def missing() -> Any:
        raise MissingDependency("x" * 30_000_000)

    with (
        EnvironmentProcess(missing) as process,
        pytest.raises(MissingDependency, match="characters left out") as error,
    ):
        process.call("reset", "task")
    assert len(str(error.value)) < 5_000


def test_what_is_asked_and_cannot_be_sent_is_a_failure_of_the_episode() -> None:
    with EnvironmentProcess(lambda: Returns(opening("on"))) as process:
        with pytest.raises(EnvironmentFailure, match=r"step cannot be asked .*: it\[0\]: object"):
            process.call("step", object())
        assert process.call("reset", "task")[0] == "on"


def test_messages_longer_than_a_socket_holds_pass_whole() -> None:
    one, other = socket.socketpair()
    with one, other:
        sender, receiver = Channel(one), Channel(other, MAX_BYTES)
        with pytest.raises(TimeoutError):
            sender.send(bytes(MAX_BYTES), time.monotonic() + 0.1)  # nobody reads
        assert sys.getsizeof(receiver._received) < 1000
    text = "long " * 3_000_000
    with EnvironmentProcess(lambda: Returns(opening(text))) as process:
        assert process.call("reset", "task")[0] == text
        assert process.call("reset", text)[0] == text
    assert len(text) < messages.MAX_BYTES


def test_stderr_is_shown_without_what_a_terminal_obeys() -> None:
    with (
        EnvironmentProcess(lambda: WritesBytes(b"", said="\x1b[2Jhello\u202e")) as process,
        pytest.raises(EnvironmentFailure, match=r"it last wrote: \\x1b\[2Jhello\\u202e$"),
    ):
        process.call("reset", "task")
