"""Where a server is: a `base_url`, checked before anything is sent or written."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from w2stree.errors import InvalidInput

_GIVE = "give its address, such as http://localhost:8000/v1"


def checked_address(base_url: str) -> str:
    """`base_url` without a slash at its end.

    Raises `InvalidInput` for what is no address of a server, and for one with a name, a password
    or a query in it: it is written into run directories and errors, where keys have no place. The
    message does not repeat it.
    """
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:  # brackets, ports
        raise InvalidInput(f"base_url is no address ({type(error).__name__}): {_GIVE}") from None
    if not base_url.isprintable() or " " in base_url:
        raise InvalidInput(f"base_url has a space, a line break or the like in it: {_GIVE}")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            "base_url has a name or a password before its host, which would be written into files "
            "(it is not repeated here): give a key by api_key_env, the name of the variable that "
            "holds it"
        )
    if "?" in base_url or "#" in base_url:
        raise InvalidInput(
            "base_url has a query or a fragment (? or #; it is not repeated here, since keys stand "
            "there): give the address up to it, and a key by api_key_env"
        )
    if parts.scheme not in ("http", "https"):
        raise InvalidInput(f"base_url does not begin with http:// or https://: {_GIVE}")
    if not host:
        raise InvalidInput(f"base_url names no host: {_GIVE}")
    return base_url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, where no proxy can lead."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return False
