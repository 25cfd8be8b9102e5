"""What servers do that misbehave: each with the outcome that it must have.

`servers.py` asks them. A behaviour writes what it likes to the connection; an outcome is a turn, a
failure of the model (an error row), a history that is too long, a server that was not reached, or
the end of the run with what the user can do.
"""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import quote

from bench.faults.raw_server import GOOD, Behaviour, Talk, encoded

PATIENT_S, HASTY_S = 120.0, 1.0
"""Deadlines: of a server that will answer, and of one that never does."""
KEY_VARIABLE = "W2STREE_FAULTS_KEY"

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
        _status("429 No", "unreachable: .*asks to wait 3600 s", "Retry-After: 3600"), max_retries=9
    ),
    "Retry-After 1e300": replace(
        _status("429 No", "unreachable: .*asks to wait 1e", "Retry-After: 1e300"), max_retries=9
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
