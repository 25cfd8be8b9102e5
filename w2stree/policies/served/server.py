"""A model server over HTTP: one question, asked until it is answered or shall not be asked again.

    ask ──> attempt ─┬─ 200, read ────────────────────────────> what it says
             │  ▲    ├─ another status, another server ───────> Refused, InvalidInput
             │  wait └─ lost, late, busy, malformed ─┐
             │  └────────────────────────────────────┤ max_retries times
             └─ timeout_s, from connecting           └──────────> ModelFailure, ServerUnreachable
                to the last byte

Nothing but the proxies and certificates that the environment names is read from it: what it has of
other services (OPENAI_API_KEY, OPENAI_ORG_ID, OPENAI_CUSTOM_HEADERS, …) goes nowhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import itertools
import json
import math
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from w2stree.errors import InvalidInput, MissingDependency, ModelFailure, ServerUnreachable
from w2stree.policies.served.address import checked_address, is_loopback
from w2stree.policies.served.key import Redaction
from w2stree.policies.served.refusal import Refused, refusal_in, refusal_of
from w2stree.policies.served.reply import MalformedReply
from w2stree.shorten import excerpt

try:
    import httpx2
except ImportError:
    raise MissingDependency("httpx2 is not installed: pip install 'w2stree[openai]'") from None

T = TypeVar("T")
Error = TypeVar("Error", bound=Exception)

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 8.0
_LONGEST_ASKED_WAIT_S = 120.0
_APART = random.Random()
"""Episodes that failed together are not to ask again together."""
NO_HEADERS: Mapping[str, str] = {}
_MAX_REDIRECTS = 5
_MAX_REFUSAL_BYTES = 1 << 16
"""Of the body of an answer that is no reply; the rest is not read."""
_PASSING = (408, 409, 425, 429)
_NOT_VOUCHED_FOR = (18, 19, 20, 21)
"""What OpenSSL calls a certificate that is signed by itself, or by nobody we know."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Passing(Exception):  # noqa: N818 (as those of its kind)
    """What may be gone a moment later. `wait_s`: when the server wants to be asked again."""

    def __init__(
        self, cause: str, *, wait_s: float | None = None, was_reached: bool = True
    ) -> None:
        super().__init__(cause)
        self.wait_s = wait_s
        self.is_away = not was_reached or (wait_s or 0.0) > _LONGEST_ASKED_WAIT_S


class ModelServer:
    """The server at `base_url`.

    An attempt has `timeout_s` seconds for all of it: connecting, asking and the last byte of the
    answer, redirects included. It is repeated up to `max_retries` times where it was lost, late,
    cut short, malformed, or answered with 408, 409, 425, 429 or 5xx: after a growing wait, or the
    one that `Retry-After` asks for up to two minutes. A longer one is not waited for: the server
    is not there for us. A reply is read up to `max_reply_bytes`, as they are when unpacked.

    Raises `InvalidInput` for a `base_url` that is none (`checked_address`).
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None,
        timeout_s: float,
        max_retries: int,
        max_reply_bytes: int,
    ) -> None:
        self.base_url = checked_address(base_url)
        self._key, self._redacted = key, Redaction(key)
        self._timeout_s, self._max_retries = timeout_s, max_retries
        self._max_reply_bytes = max_reply_bytes
        self._client: httpx2.AsyncClient | None = None

    async def tell(self, path: str, order: dict[str, Any]) -> None:
        """Post `order` to `path`, as `ask`; what a good answer says is nobody's business."""
        await self._answered(path, order, lambda answer: None)

    async def ask(
        self,
        path: str,
        question: dict[str, Any],
        read: Callable[[Any], T],
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> T:
        """What `read` makes of the answer to `question`, posted to `path` with `headers` beside
        those of every request.

        `read` raises `MalformedReply` for what is no answer. Raises `Refused` where the server
        will not answer it, `InvalidInput` where it sends us to another server, else as the class
        says: `ServerUnreachable` where the last attempt found no server, or one that is not there
        for us, or `ModelFailure`.
        """
        return await self._answered(path, question, lambda answer: read(_read(answer)), headers)

    async def _answered(
        self,
        path: str,
        question: dict[str, Any],
        read: Callable[[_Answer], T],
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> T:
        content = json.dumps(question, allow_nan=False).encode()  # halves of pairs stay escaped
        for num_retries in itertools.count():
            wait_s = min(_FIRST_WAIT_S * 2 ** min(num_retries, 9), _LONGEST_WAIT_S)
            wait_s *= _APART.uniform(0.75, 1)
            try:
                return read(await self._attempt(path, content, headers))
            except MalformedReply as error:
                failure = self.failure(ModelFailure, str(error))
            except _Passing as passing:
                kind = ServerUnreachable if passing.is_away else ModelFailure
                failure = self.failure(kind, str(passing))
                wait_s = wait_s if passing.wait_s is None else passing.wait_s
            if num_retries >= self._max_retries or wait_s > _LONGEST_ASKED_WAIT_S:
                raise failure
            await asyncio.sleep(wait_s)
        raise AssertionError  # for mypy: the loop has no end

    def failure(self, kind: Callable[[str], Error], text: str) -> Error:
        """An error of this server: named, without keys, an `excerpt` where it is long."""
        told = excerpt(self._redacted(excerpt(text, _MAX_REFUSAL_BYTES)))
        return kind(f"{self.base_url}: {told}")

    async def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def _attempt(self, path: str, content: bytes, headers: Mapping[str, str]) -> _Answer:
        """A good answer; raises `_Passing`, `Refused`, `InvalidInput` or `MalformedReply`."""
        client = self._connected()  # reads certificates, which takes a moment
        was_reached = False
        opened: list[Any] = []

        async def note(event: str, info: Mapping[str, Any]) -> None:
            nonlocal was_reached
            if event == "http11.send_request_headers.started":  # a proxy is asked by CONNECT first
                was_reached |= info["request"].method == b"POST"
            elif event == "connection.connect_tcp.complete":
                opened.append(info["return_value"])

        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._followed(client, path, content, headers, {"trace": note})
        except TimeoutError:
            what = "no whole answer" if was_reached else "no connection"
            cause = f"{what} within {self._timeout_s:g} s (timeout_s)"
            raise _Passing(cause, was_reached=was_reached) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            lost = "the connection was lost" if was_reached else "no connection"
            raise _Passing(f"{lost}: {_cause(error)}", was_reached=was_reached) from None
        finally:
            for stream in opened:  # the client leaves one open whose handshake is cut short
                await stream.aclose()
        if 200 <= answer.status < 300:
            return answer
        refusal = refusal_in(answer.status, answer.body)
        if refusal.is_too_long or refusal.is_unpaid:
            raise Refused(refusal)
        if answer.status in _PASSING or answer.status >= 500:
            asked = _asked_wait(answer.headers)
            later = f", and asks to wait {asked:g} s" if asked else ""
            raise _Passing(f"answers {answer.status}{later}: {refusal.message}", wait_s=asked)
        raise Refused(refusal)

    async def _followed(
        self,
        client: httpx2.AsyncClient,
        path: str,
        content: bytes,
        headers: Mapping[str, str],
        extensions: dict[str, Any],
    ) -> _Answer:
        """The answer, be it at another address of the same server."""
        url = httpx2.URL(f"{self.base_url}{path}")
        for _ in range(_MAX_REDIRECTS + 1):
            asked = client.stream(
                "POST", url, content=content, headers=dict(headers), extensions=extensions
            )
            async with asked as response:
                answer = await self._answer(response)
            if not 300 <= answer.status < 400 or not answer.headers.get("location"):
                return answer
            url = self._next(url, answer)
        raise MalformedReply(f"it sends us on more than {_MAX_REDIRECTS} times")

    def _next(self, url: httpx2.URL, answer: _Answer) -> httpx2.URL:
        try:
            target = url.join(answer.headers["location"])
        except httpx2.InvalidURL:
            raise MalformedReply(f"answers {answer.status} and names no address") from None
        here, there = (f"{u.scheme}://{u.netloc.decode('ascii', 'replace')}" for u in (url, target))
        if here != there or answer.status not in (307, 308):
            raise self.failure(
                InvalidInput,
                f"{here} sends us on to {there} ({answer.status}); nothing was sent there: write "
                "its address as base_url, if it is right",
            )
        return target

    async def _answer(self, response: httpx2.Response) -> _Answer:
        """A response and its body, read up to a limit: as it is unpacked, piece by piece."""
        is_reply = 200 <= response.status_code < 300
        limit = self._max_reply_bytes if is_reply else _MAX_REFUSAL_BYTES
        body = bytearray()
        async with contextlib.aclosing(response.aiter_bytes()) as parts:
            async for part in parts:
                body += part
                if len(body) > limit:
                    break
        if is_reply and len(body) > limit:
            raise MalformedReply(f"the reply is longer than {limit:,} bytes, and not read on")
        return _Answer(response.status_code, response.headers, bytes(body[:limit]))

    def _connected(self) -> httpx2.AsyncClient:
        """The client; made within the event loop that its connections are bound to."""
        if self._client is None:
            host = httpx2.URL(self.base_url).host
            direct = f"all://[{host}]" if ":" in host else f"all://{host}"
            key = {} if self._key is None else {"Authorization": f"Bearer {self._key}"}
            try:
                self._client = httpx2.AsyncClient(
                    headers={
                        "Content-Type": "application/json",
                        "Accept": "application/json",
                        "Accept-Encoding": "identity",
                        # A connection kept alive would take a response that a server or proxy
                        # sends twice for the next episode's.
                        "Connection": "close",
                        "User-Agent": "w2stree",
                        **key,
                    },
                    timeout=None,  # an attempt has one of its own
                    limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
                    mounts={direct: None} if is_loopback(host) else None,
                )
            except (ImportError, OSError) as error:
                raise self._unusable(str(error)) from None
            except (ValueError, httpx2.InvalidURL):
                raise self._unusable(
                    "a proxy is no address (it is not repeated here, since it may hold a "
                    "password): give http://host:port"
                ) from None
        return self._client

    def _unusable(self, why: str) -> InvalidInput:
        return self.failure(
            InvalidInput,
            "what the environment says of proxies or certificates (HTTPS_PROXY, HTTP_PROXY, "
            f"ALL_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR) cannot be used: {why}",
        )


def _read(answer: _Answer) -> Any:
    """The answer's JSON. Some servers and gateways say 200 and then what is wrong."""
    try:
        record = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        shown = answer.body[:200].decode("utf-8", "replace")
        raise MalformedReply(f"the reply is not JSON ({error}): {shown!r}") from None
    if isinstance(record, dict) and record.get("error") and not record.get("choices"):
        refusal = refusal_of(answer.status, record, answer.body.decode("utf-8", "replace"))
        if refusal.is_too_long or refusal.is_unpaid:
            raise Refused(refusal)
        raise MalformedReply(f"the reply has an error and no choices: {refusal.message}")
    return record


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait; None for no number of seconds to come, or no date."""
    for name, unit_s in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        given = headers.get(name, "")
        with contextlib.suppress(ValueError):
            wait_s = float(given) * unit_s
            if math.isfinite(wait_s) and wait_s > 0:
                return wait_s
    with contextlib.suppress(ValueError, TypeError, IndexError, OverflowError):
        wait_s = email.utils.parsedate_to_datetime(given).timestamp() - time.time()
        return wait_s if wait_s > 0 else None
    return None


def _cause(error: BaseException) -> str:
    """What the system said first: a client's own words are few."""
    told = [str(error) or type(error).__name__]
    mend = ""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
        if (
            isinstance(error, ssl.SSLCertVerificationError)
            and error.verify_code in _NOT_VOUCHED_FOR
        ):
            mend = "; SSL_CERT_FILE=… can name the file of the certificate to trust"
        if str(error) and str(error) not in told:
            told.append(str(error))
    return (told[0] if len(told) == 1 else f"{told[0]} ({told[-1]})") + mend
