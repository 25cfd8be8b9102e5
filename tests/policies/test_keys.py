"""Keys and variables of the environment: sent where they belong, told to nobody."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("httpx2")

from support.chat_server import Handler, ask, good, policy, serving

from w2stree.errors import InvalidInput, ServerUnreachable
from w2stree.policies.served.address import is_loopback
from w2stree.policies.served.key import REDACTED, Redaction

KEY = "sk-abc/DEF+0123456789=xyz"


@pytest.mark.parametrize(
    "told",
    [
        KEY,
        f"bad key: {KEY}.",
        f'{{"headers": {{"Authorization": "Bearer {KEY}"}}}}',
        f"cut: {KEY[:12]}",
        f"cut: {KEY[9:]}",
        f"twice {KEY} and {KEY}{KEY}",
        f"?api_key={quote(KEY, safe='')}&a=b",
        *(base64.b64encode(f"{before}{KEY}{after}".encode()).decode()
          for before in ("", "a", "ab", "user:") for after in ("", "z")),
        base64.urlsafe_b64encode(KEY.encode()).decode(),
    ],
)  # fmt: skip
def test_a_key_is_taken_out_of_a_text(told: str) -> None:
    hidden = Redaction(KEY)(told)
    assert REDACTED in hidden
    for form in (KEY, quote(KEY, safe=""), base64.b64encode(KEY.encode()).decode()):
        assert not any(form[i : i + 8] in hidden for i in range(len(form) - 7))


def test_keys_of_others_are_too_and_words_are_not() -> None:
    redacted = Redaction(None)
    assert redacted("Authorization: Bearer sk-other-1") == f"Authorization: {REDACTED}"
    assert redacted("'x-api-key': 'sk-other-1', 'a': 1") == f"'x-api-key: {REDACTED}', 'a': 1"
    assert redacted("Proxy-Authorization: Basic dTpw") == f"Proxy-Authorization: {REDACTED}"
    plain = "This model's maximum context length is 64 tokens; a bearer token is required."
    assert redacted(plain) == Redaction(KEY)(plain) == plain
    assert Redaction("EMPTY")("the key EMPTY is wrong") == f"the key {REDACTED} is wrong"


def test_redaction_of_a_long_text_is_quick() -> None:
    text = f"{KEY[:7]} " * 100_000
    assert Redaction(KEY)(text) == text


def test_variables_of_other_services_go_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "not-for-you")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: not-for-you")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://not-for-you.invalid/v1")
    seen: list[str] = []

    def notes(handler: Handler, body: dict[str, Any]) -> None:
        seen.append(str(handler.headers))
        good(handler, body)

    with serving(notes) as server:
        ask(policy(server))
    assert "not-for-you" not in seen[0]
    assert "openai" not in seen[0].lower()


def test_a_key_s_line_end_is_not_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    def notes(handler: Handler, body: dict[str, Any]) -> None:
        seen.append(handler.headers["Authorization"])
        good(handler, body)

    with serving(notes) as server:
        for written in (f"{KEY}\n", f" {KEY}\r\n", KEY):
            monkeypatch.setenv("MY_KEY", written)
            ask(policy(server, api_key_env="MY_KEY"))
        for written in ("a\nb", "a b", "schlüssel", "\x00a"[1:] + "\x7f"):
            monkeypatch.setenv("MY_KEY", written)
            with pytest.raises(InvalidInput, match=r"\$MY_KEY has") as refused:
                policy(server, api_key_env="MY_KEY")
            assert written not in str(refused.value)
    assert seen == [f"Bearer {KEY}"] * 3


def test_what_is_not_a_variable_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (KEY, "hf_NotAVariable", "has space"):
        with pytest.raises(InvalidInput, match="not repeated") as refused:
            policy("http://127.0.0.1:1/v1", api_key_env=name)
        assert name not in str(refused.value)


def test_a_proxy_is_used_for_other_machines_and_not_for_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def far(handler: Handler, body: dict[str, Any]) -> None:
        assert handler.path == "http://far.invalid/v1/chat/completions"
        good(handler, body)

    with serving(far) as proxy, serving(good) as near:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.server_port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        ask(policy("http://far.invalid/v1"))
        ask(policy(near))
    assert (len(proxy.requests), len(near.requests)) == (1, 1)


@pytest.mark.parametrize(
    "address",
    ["nonsense://u:pass-word@proxy", "http://u:pass/word@proxy", "http://u:pass-word@[::1"],
)
def test_a_proxy_that_is_no_address_is_named_without_its_password(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, address)
    with pytest.raises(InvalidInput, match=r"HTTP_PROXY.* no address") as refused:
        ask(policy("http://far.invalid/v1"))
    assert "pass" not in str(refused.value).replace("password", "")


def test_this_machine_has_many_names() -> None:
    here = ("localhost", "a.localhost", "127.0.0.1", "127.8.8.8", "::1")
    assert all(map(is_loopback, here))
    assert not any(map(is_loopback, ("127.0.0.1.com", "localhost.com", "10.0.0.1", "far")))


def test_a_server_that_is_not_there_is_told_apart() -> None:
    with serving(good) as server:
        url = server.url
    with pytest.raises(ServerUnreachable, match=f"{url}: no connection: .*Connect"):
        ask(policy(url))
