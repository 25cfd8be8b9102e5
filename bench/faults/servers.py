"""Servers that misbehave, over real sockets: what becomes of one question, and when.

Each behaviour (`behaviours.py`) has its outcome. No answer of a server makes a question last longer
than its own deadline allows, none is read without limit, and none gets the key told.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.faults.behaviours import CASES, HASTY_S, KEY_VARIABLE, PATIENT_S, Case
from bench.faults.raw_server import GOOD, RawServer, Talk
from bench.faults.row import Row
from w2stree.errors import ContextExceeded, InvalidInput, ModelFailure, ServerUnreachable
from w2stree.policies.openai import OpenAIPolicy
from w2stree.policies.protocol import Episode, Sampling
from w2stree.trajectories.trajectory import Message

MOST_SENT = 64 << 20
"""Bytes that a server can write before we hang up: our limit, and what the system buffers."""

_AT_ONCE = 16
_KEY = "sk-not-to-be-told/0123456789+"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`told`: `KIND: text`, a match of `expected`; after `seconds`, of which `allowed_s` were
    allowed. `num_sent`: bytes that the server could write."""

    name: str
    told: str
    expected: str
    seconds: float
    allowed_s: float
    num_sent: int

    @property
    def is_expected(self) -> bool:
        return bool(re.match(self.expected, self.told, re.DOTALL))

    @property
    def tells_key(self) -> bool:
        return any(_KEY[i : i + 8] in self.told for i in range(len(_KEY) - 7))


def meet(names: tuple[str, ...] | None = None) -> list[Outcome]:
    """Ask the servers of these names, some at a time; every one there is without names."""
    with ExitStack() as stack:
        places = stack.enter_context(_places())
        cases = {**CASES, **places}
        chosen = {name: cases[name] for name in names or cases if name in cases}
        server = stack.enter_context(
            RawServer({_slug(name): case.does for name, case in cases.items()})
        )
        os.environ[KEY_VARIABLE] = _KEY
        stack.callback(os.environ.pop, KEY_VARIABLE)
        return asyncio.run(_ask_all(chosen, server))


def _slug(name: str) -> str:
    return re.sub(r"[^\w.]+", "-", name)


async def _ask_all(cases: dict[str, Case], server: RawServer) -> list[Outcome]:
    few = asyncio.Semaphore(_AT_ONCE)

    async def ask(name: str, case: Case) -> Outcome:
        async with few:
            return await _ask(name, case, server)

    return await asyncio.gather(*(ask(name, case) for name, case in cases.items()))


async def _ask(name: str, case: Case, server: RawServer) -> Outcome:
    outcome = await _ask_once(name, case, server)
    if case.deadline_s < PATIENT_S and "no connection within" in outcome.told:
        # A busy machine may not have connected by then; whoever is not reached, is not later.
        return await _ask_once(name, replace(case, deadline_s=8 * case.deadline_s), server)
    return outcome


async def _ask_once(name: str, case: Case, server: RawServer) -> Outcome:
    policy = OpenAIPolicy(
        "m",
        base_url=case.url or server.url(_slug(name)),
        api_key_env=KEY_VARIABLE,
        timeout_s=case.deadline_s,
        max_retries=case.max_retries,
    )
    prompt = (Message("user", "go"),)
    episode = Episode(0, prompt, Sampling(), np.random.default_rng(0), ["go"])
    began = time.monotonic()
    try:
        told = f"turn: {(await policy.turn(episode)).response}"
    except ContextExceeded as error:
        told = f"exceeds: {error}"
    except ServerUnreachable as error:
        told = f"unreachable: {error}"
    except ModelFailure as error:
        told = f"failure: {error}"
    except InvalidInput as error:
        told = f"stops: {error}"
    except Exception as error:  # anything else ends a run with a traceback
        told = f"crash: {error!r}"
    seconds = time.monotonic() - began
    await policy.close()
    allowed_s = (case.max_retries + 1) * case.deadline_s + 8.0 * case.max_retries
    return Outcome(name, told, case.outcome, seconds, allowed_s, server.num_sent[_slug(name)])


@contextmanager
def _places() -> Iterator[dict[str, Case]]:
    """Where no server is reached."""
    with ExitStack() as stack:
        nobody = socket.create_server(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        nobody.close()
        plain, mute, rude = (
            stack.enter_context(RawServer({"tls": does}, reads=False))
            for does in (_plain, lambda talk: talk.hang(), lambda talk: talk.reset())
        )
        places = {
            "nobody there": (f"http://127.0.0.1:{port}/v1", "no connection: "),
            "no such host": ("http://nobody.invalid/v1", "no connection"),
            "https where it is http": (plain.url("", "https"), "no connection: "),
            "a TLS handshake without end": (mute.url("", "https"), "no connection within [18] s"),
            "a TLS handshake that is reset": (rude.url("", "https"), "no connection: "),
        }
        if shutil.which("openssl"):
            server = stack.enter_context(_self_signed())
            places["a certificate that nobody signed"] = (
                server,
                "no connection: .*certificate.*SSL_CERT_FILE",
            )
        yield {
            name: Case(_answer, f"unreachable: .*{told}", HASTY_S, url=url)
            for name, (url, told) in places.items()
        }


def _answer(talk: Talk) -> None:
    talk.answer(GOOD)


def _plain(talk: Talk) -> None:
    talk.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@contextmanager
def _self_signed() -> Iterator[str]:
    """A TLS server that nobody vouches for."""
    with tempfile.TemporaryDirectory(prefix="w2stree-faults-") as folder:
        key, certificate = Path(folder, "key.pem"), Path(folder, "certificate.pem")
        command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1"
        made = (*command.split(), "-keyout", str(key), "-out", str(certificate))
        subprocess.run(made, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

        def shake(talk: Talk) -> None:
            with context.wrap_socket(talk.connection, server_side=True) as secure:
                secure.recv(65536)

        with RawServer({"tls": shake}, reads=False) as server:
            yield server.url("", "https")


def rows(folder: Path) -> list[Row]:
    """Every behaviour once."""
    outcomes = meet()
    other = [outcome for outcome in outcomes if not outcome.is_expected]
    late = [outcome for outcome in outcomes if outcome.seconds > outcome.allowed_s + 5.0]
    return [
        Row(
            "servers that misbehave",
            len(outcomes),
            {
                "other outcomes": len(other),
                "after the deadline": len(late),
                "keys told": sum(outcome.tells_key for outcome in outcomes),
                "read on without limit": sum(o.num_sent > MOST_SENT for o in outcomes),
            },
            "; ".join(f"{outcome.name}: {outcome.told[:200]}" for outcome in other),
        )
    ]
