"""Servers that misbehave, over real sockets: what becomes of one question, and when.

Each behaviour has an outcome that it must have: a turn, a failure of the model (an error row), a
history that is too long, a server that was not reached, or the end of the run with what the user
can do. No answer of a server makes a question last longer than its own deadline allows, and none
is read without limit.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np

from bench.faults.raw_server import GOOD, Behaviour, RawServer, Talk, encoded
from bench.faults.row import Row
from w2stree.errors import ContextExceeded, InvalidInput, ModelFailure, ServerUnreachable
from w2stree.policies.openai import OpenAIPolicy
from w2stree.policies.protocol import Episode, Sampling
from w2stree.trajectories.trajectory import Message

PATIENT_S, HASTY_S = 120.0, 1.0
"""Deadlines: of a server that will answer, and of one that never does."""
MOST_SENT = 64 << 20
"""Bytes that a server can write before we hang up: our limit, and what the system buffers."""

_AT_ONCE = 16
_KEY = "sk-not-to-be-told/0123456789+"
_KEY_VARIABLE = "W2STREE_FAULTS_KEY"
_SAYS = "turn: Action: go$"
_MEGABYTE = 1 << 20
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Case:
    """What a server does, and a pattern of the outcome: `KIND: text`.

    `deadline_s` and `max_retries` are the policy's; `url` is of another place than the server.
    """

    does: Behaviour
    outcome: str
    deadline_s: float = PATIENT_S
    max_retries: int = 0
    url: str | None = None


def _status(
    status: str, outcome: str, *headers: str, body: bytes = b'{"error": {"message": "no"}}'
) -> Case:
    return Case(lambda talk: talk.answer(body, status, *headers), outcome)


def _writes(data: bytes, outcome: str) -> Case:
    return Case(lambda talk: talk.send(data), outcome)


def _never(does: Behaviour) -> Case:
    """It never comes to an end: the deadline does."""
    return Case(does, r"failure: .* no whole answer within [18] s \(timeout_s\)", HASTY_S)


def _later(first: Callable[[Talk], None]) -> Case:
    """Good when asked again."""

    def does(talk: Talk) -> None:
        (first if talk.number == 0 else _good)(talk)

    return Case(does, _SAYS, max_retries=1)


def _busy(*headers: str) -> Callable[[Talk], None]:
    return lambda talk: talk.answer(b"{}", "429 Too Many Requests", *headers)


def _good(talk: Talk) -> None:
    talk.answer(GOOD)


def _then_hang(*parts: bytes) -> Callable[[Talk], None]:
    def does(talk: Talk) -> None:
        for part in parts:
            talk.send(part)
        talk.hang()

    return does


def _drip(head: bytes, drop: bytes) -> Callable[[Talk], None]:
    def does(talk: Talk) -> None:
        talk.send(head)
        talk.drip(drop)

    return does


def _flood(head: bytes, wave: bytes) -> Callable[[Talk], None]:
    def does(talk: Talk) -> None:
        talk.send(head)
        talk.flood(wave)

    return does


def _then_reset(data: bytes) -> Callable[[Talk], None]:
    def does(talk: Talk) -> None:
        if data:
            talk.send(data)
        talk.reset()

    return does


def _onward(status: str, target: str) -> Callable[[Talk], None]:
    """Sends a first question to `target`, in which {port} is ours, and answers the next."""

    def does(talk: Talk) -> None:
        if talk.number == 0:
            talk.answer(b"", status, f"Location: {target.format(port=talk.port)}")
        else:
            _good(talk)

    return does


def _circle(talk: Talk) -> None:
    talk.answer(b"", "307 Temporary Redirect", "Location: /redirect-in-a-circle/v1")


def _echo(status: str) -> Callable[[Talk], None]:
    """A debug page: the key as it was sent, quoted, cut off, in base64."""

    def does(talk: Talk) -> None:
        key = talk.authorization.removeprefix("Bearer ")
        shown = (talk.authorization, key, quote(key, safe=""), key[:14], key[9:])
        in_base64 = [
            base64.b64encode(f"{before}{key}".encode()).decode() for before in ("", "a", "ab")
        ]
        talk.answer(encoded({"error": {"message": " | ".join((*shown, *in_base64))}}), status)

    return does


def _gzip_bomb(num_megabytes: int) -> bytes:
    """A gzip stream of that many megabytes of spaces: blocks that may be repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(b" " * 64) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b" " * _MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * num_megabytes


def _packed(body: bytes, encoding: str) -> Callable[[Talk], None]:
    return lambda talk: talk.answer(body, "200 OK", f"Content-Encoding: {encoding}")


def _long(message: str, status: str = "400 Bad Request", **more: object) -> Case:
    body = encoded({"error": {"message": message, **more}})
    return _status(status, r"exceeds: ", body=body)


CASES: dict[str, Case] = {
    # Statuses.
    "status 204": _status("204 No Content", "failure: .* not JSON", "Content-Length: 0", body=b""),
    "status 300": _status("300 Multiple Choices", r"failure: .* \(300\)"),
    "status 304": _status("304 Not Modified", r"failure: .* \(304\)", body=b""),
    "status 400": _status("400 Bad Request", r"failure: .*refuses the request: no \(400\)"),
    "status 401": _status("401 Unauthorized", r"stops: .*refuses us \(\$W2STREE_FAULTS_KEY\)"),
    "status 402": _status("402 Payment Required", "stops: .*nothing is left to pay"),
    "status 403": _status("403 Forbidden", "stops: .*refuses us"),
    "status 404": _status("404 Not Found", "stops: .*has no model 'm', or base_url is not all"),
    "status 405": _status("405 Method Not Allowed", "stops: .*base_url is not all"),
    "status 408": _status("408 Request Timeout", "failure: .*answers 408: no"),
    "status 409": _status("409 Conflict", "failure: .*answers 409"),
    "status 413": _status("413 Content Too Large", r"failure: .* \(413\)"),
    "status 418": _status("418 I'm a teapot", r"failure: .* \(418\)", body=b"\x1b[31mteapot"),
    "status 422": _status("422 Unprocessable Entity", r"failure: .* \(422\)"),
    "status 425": _status("425 Too Early", "failure: .*answers 425"),
    "status 429": _status("429 Too Many Requests", "failure: .*answers 429"),
    "status 429, no quota": _status(
        "429 Too Many Requests", "stops: .*nothing is left to pay",
        body=encoded({"error": {"message": "no", "code": "insufficient_quota"}}),
    ),
    "status 451": _status("451 Unavailable For Legal Reasons", r"failure: .* \(451\)"),
    "status 500": _status("500 Internal Server Error", "failure: .*answers 500: no"),
    "status 502 of a proxy": _status(
        "502 Bad Gateway", "failure: .*answers 502: <html>", "Content-Type: text/html",
        body=b"<html>\xff bad gateway</html>",
    ),
    "status 503": _status("503 Service Unavailable", "failure: .*answers 503"),
    "status 504, then good": _later(lambda talk: talk.answer(b"", "504 Gateway Timeout")),
    "status 529": _status("529 Overloaded", "failure: .*answers 529"),
    "status 999": _status("999 No", "failure: "),
    "100 Continue before it": Case(
        lambda talk: (talk.send(b"HTTP/1.1 100 Continue\r\n\r\n"), _good(talk))[1], _SAYS
    ),
    "103 Early Hints before it": Case(
        lambda talk: (talk.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), _good(talk))[1],
        _SAYS,
    ),
    "101 to another protocol": _writes(
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "failure: "
    ),
    # Too long, as they say it.
    "too long, by its code": _long("no", code="context_length_exceeded"),
    "too long, llama.cpp": _long("no", type="exceed_context_size_error", n_ctx=512),
    "too long, with status 500": _long("Context size has been exceeded.", "500 Oops"),
    "too long, with status 200": _long("Reached context length of 4096 tokens", "200 OK"),
    "too long, TGI": _long("`inputs` must have less than 1024 tokens. Given: 1200", "422 Oops"),
    # Other servers.
    "redirect within the server": Case(
        _onward("307 Temporary Redirect", "/redirect-within-the-server/v2/elsewhere"), _SAYS
    ),
    "redirect within it by 308": Case(
        _onward("308 Permanent Redirect", "http://127.0.0.1:{port}/redirect-within-it-by-308/v2"),
        _SAYS,
    ),
    "redirect to another port": Case(
        _onward("307 Temporary Redirect", "http://127.0.0.1:1/v1"),
        r"stops: .*http://127.0.0.1:\d+ sends us on to http://127.0.0.1:1 \(307\); nothing was",
    ),
    "redirect to another host": Case(
        _onward("308 Permanent Redirect", "http://localhost:{port}/v1/chat/completions"),
        r"stops: .*sends us on to http://localhost:\d+ ",
    ),
    "redirect to https": Case(
        _onward("301 Moved Permanently", "https://127.0.0.1:{port}/v1"), "stops: .*to https://"
    ),
    "redirect that would become a GET": Case(_onward("302 Found", "/v1"), "stops: .*sends us on"),
    "redirect to a file": Case(
        _onward("307 Temporary Redirect", "file:///etc/passwd"), "stops: .*sends us on to file://"
    ),
    "redirect to nowhere": Case(_onward("307 Temporary Redirect", "http://["), "stops: .*us on"),
    "redirect in a circle": Case(_circle, "failure: .*more than 5 times"),
    # Waits that are asked for.
    "Retry-After 0.05": _later(_busy("Retry-After: 0.05")),
    "Retry-After 0": _later(_busy("Retry-After: 0")),
    "Retry-After -5": _later(_busy("Retry-After: -5")),
    "Retry-After nan": _later(_busy("Retry-After: nan")),
    "Retry-After soon": _later(_busy("Retry-After: soon")),
    "Retry-After a date that was": _later(_busy("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT")),
    "Retry-After half a date": _later(_busy("Retry-After: Wed, 99 Foo 2015")),
    "Retry-After twice": _later(_busy("Retry-After: 0.05", "Retry-After: 7")),
    "retry-after-ms 50": _later(_busy("retry-after-ms: 50")),
    "Retry-After 3600": replace(
        _status("429 No", "failure: .*asks to wait 3600 s", "Retry-After: 3600"), max_retries=9
    ),
    "Retry-After 1e300": replace(
        _status("429 No", "failure: .*asks to wait 1e", "Retry-After: 1e300"), max_retries=9
    ),
    # Never.
    "silence": _never(lambda talk: talk.hang()),
    "a status line that drips": _never(_drip(b"HTTP/1.1 200 O", b"K")),
    "headers that drip": _never(_drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n")),
    "1xx without end": _never(_drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
    "a body that drips": _never(_drip(_HEAD + b"Content-Length: 1000000\r\n\r\n", b" ")),
    "chunks that drip": _never(_drip(_CHUNKED, b"1\r\n \r\n")),
    "an error that drips": _never(
        _drip(b"HTTP/1.1 500 Oops\r\nContent-Length: 1000000\r\n\r\n", b" ")
    ),
    "a redirect that drips": _never(
        _drip(b"HTTP/1.1 307 No\r\nLocation: /v1\r\nContent-Length: 1000000\r\n\r\n", b" ")
    ),
    "headers, then silence": _never(_then_hang(_HEAD + b"Content-Length: 9\r\n\r\n")),
    "half a body, then silence": _never(
        _then_hang(_HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD), GOOD[:20])
    ),
    "no length, and left open": _never(_then_hang(_HEAD + b"\r\n", GOOD)),
    # Without end.
    "a body without end": Case(
        _flood(_CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n"), "failure: .*longer than"
    ),
    "a body of ten gigabytes": Case(
        _flood(_HEAD + b"Content-Length: 10000000000\r\n\r\n", b" " * 65536),
        "failure: .*longer than",
    ),
    "an error without end": Case(
        _flood(b"HTTP/1.1 400 No\r\n\r\n", b"no " * 20000),
        r"failure: .*characters left out.*\(400\)",
    ),
    "an error of 30 MB": _status(
        "500 Oops", "failure: .*characters left out", body=b"x" * 30_000_000
    ),
    "a header of 50 MB": Case(_flood(b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 65536), "failure: "),
    "headers without end": Case(_flood(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 5000), "failure: "),
    "a gzip bomb": Case(_packed(_gzip_bomb(4096), "gzip"), "failure: .*longer than"),
    "a gzip bomb of an error": Case(
        lambda talk: talk.answer(_gzip_bomb(1024), "400 No", "Content-Encoding: gzip"), "failure: "
    ),
    "a gzip bomb in gzip": Case(
        _packed(gzip.compress(_gzip_bomb(2048)), "gzip, gzip"), "failure: .*longer than"
    ),
    # Packed.
    "gzip": Case(_packed(gzip.compress(GOOD), "gzip"), _SAYS),
    "deflate": Case(_packed(zlib.compress(GOOD), "deflate"), _SAYS),
    "gzip that is none": Case(_packed(GOOD, "gzip"), "failure: "),
    "gzip cut short": Case(_packed(gzip.compress(GOOD)[:40], "gzip"), "failure: "),
    "an encoding nobody knows": Case(_packed(b"\x8b\x03\x80", "br9"), "failure: .*not JSON"),
    # Broken off.
    "reset": Case(_then_reset(b""), "failure: .*the connection was lost"),
    "reset in the body": Case(
        _then_reset(_HEAD + b"Content-Length: 999\r\n\r\n{"), "failure: .*the connection was lost"
    ),
    "reset, then good": _later(_then_reset(b"")),
    "closed without a word": Case(lambda talk: None, "failure: .*the connection was lost"),
    "half a body": _writes(_HEAD + b"Content-Length: 999\r\n\r\n" + GOOD, "failure: .*was lost"),
    "half a head": _writes(b"HTTP/1.1 200 OK\r\nConte", "failure: .*was lost"),
    "chunks cut short": _writes(_CHUNKED + b"5\r\n{\"a\"", "failure: .*was lost"),
    "a chunk of no size": _writes(_CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", "failure: .*was lost"),
    "a chunk of a negative size": _writes(_CHUNKED + b"-5\r\n{}\r\n0\r\n\r\n", "failure: "),
    # By other rules.
    "HTTP/0.9": _writes(GOOD, "failure: "),
    "another protocol": _writes(b"SSH-2.0-OpenSSH_9.6\r\n", "failure: "),
    "TLS where there is none": _writes(b"\x15\x03\x01\x00\x02\x02\x46", "failure: "),
    "NUL in the head": _writes(b"HTTP/1.1 200 OK\x00\r\n\r\n", "failure: "),
    "two lengths": _writes(
        _HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + GOOD, "failure: "
    ),
    "a negative length": _writes(_HEAD + b"Content-Length: -5\r\n\r\n" + GOOD, "failure: "),
    "HTTP/1.0 up to its end": _writes(b"HTTP/1.0 200 OK\r\n\r\n" + GOOD, _SAYS),
    "no length, and closed": _writes(_HEAD + b"\r\n" + GOOD, _SAYS),
    "chunks with extensions and trailers": _writes(
        _CHUNKED + b"%x;a=b\r\n%s\r\n0\r\nX-A: b\r\n\r\n" % (len(GOOD), GOOD), _SAYS
    ),
    "an error after chunks": _writes(
        _CHUNKED + b"5\r\n{\"a\":\r\n0\r\nX-Error: died\r\n\r\n", "failure: .*not JSON"
    ),
    "another content type": Case(
        lambda talk: talk.answer(GOOD, "200 OK", "Content-Type: text/html"), _SAYS
    ),
    "another charset": Case(
        lambda talk: talk.answer(
            GOOD.decode().encode("utf-16"), "200 OK", "Content-Type: text/json; charset=latin-1"
        ),
        _SAYS,
    ),
    "headers beyond ASCII": Case(lambda talk: talk.answer(GOOD, "200 OK", "X-A: \xe4\xf6"), _SAYS),
    "cookies": Case(
        lambda talk: talk.answer(GOOD, "200 OK", "Set-Cookie: a=b; Max-Age=nan; Domain=.."), _SAYS
    ),
    # Connections kept open.
    "a reply twice": Case(
        lambda talk: talk.send(2 * (_HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD)),
        _SAYS,
    ),
    "more after a reply": Case(lambda talk: (_good(talk), talk.send(b"HTTP/1.1 500"))[1], _SAYS),
    "kept alive and left open": Case(lambda talk: (_good(talk), talk.hang())[1], _SAYS),
    # What must not be told.
    **{
        f"a key in an error {status}": Case(_echo(status), r"(failure|stops): .*\[redacted\]")
        for status in ("200 OK", "400 Bad", "401 Unauthorized", "404 No", "422 Oops", "500 Oops")
    },
}  # fmt: skip


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
        os.environ[_KEY_VARIABLE] = _KEY
        stack.callback(os.environ.pop, _KEY_VARIABLE)
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
        api_key_env=_KEY_VARIABLE,
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
            places["a certificate that nobody signed"] = (server, "no connection: .*certificate")
        yield {
            name: Case(_good, f"unreachable: .*{told}", HASTY_S, url=url)
            for name, (url, told) in places.items()
        }


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
