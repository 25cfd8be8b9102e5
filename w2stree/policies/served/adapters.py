"""LoRA adapters at a vLLM server: loaded by a name, played by that name, unloaded again.

    POST /load_lora_adapter     {"lora_name": "w2stree-5d3c0aa1", "lora_path": "/runs/…/model"}
    POST /completions           {"model": "w2stree-5d3c0aa1", …}
    POST /unload_lora_adapter   {"lora_name": "w2stree-5d3c0aa1"}

The server reads the directory itself, so it has to see it at the same path. It takes the two orders
only with `--enable-lora` and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its environment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from w2stree.errors import Error, InvalidInput
from w2stree.policies.served.key import read_key
from w2stree.policies.served.refusal import Refused
from w2stree.policies.served.server import ModelServer

_ORDER_BYTES = 1 << 16
_IS_LOADED = "already been loaded"


@contextmanager
def served_adapters(
    folder: Path,
    name: str,
    *,
    base_url: str,
    api_key_env: str | None = None,
    timeout_s: float = 120.0,
    max_retries: int = 5,
) -> Iterator[None]:
    """Have the server serve a directory's adapters under `name` within the block.

    What has the name already is taken for them: the name has to tell what they hold. Raises
    `InvalidInput` with the server's words where it will not load them, `ServerUnreachable` and
    `ModelFailure` as `ModelServer` does. What cannot be unloaded stays there, which is no error.
    """
    server = ModelServer(
        base_url,
        key=read_key(api_key_env),
        timeout_s=timeout_s,
        max_retries=max_retries,
        max_reply_bytes=_ORDER_BYTES,
    )
    _order(server, "/load_lora_adapter", {"lora_name": name, "lora_path": str(folder.resolve())})
    try:
        yield
    finally:
        _unload(server, name)


def _order(server: ModelServer, path: str, order: dict[str, Any]) -> None:
    async def tell() -> None:
        try:
            await server.tell(path, order)
        finally:
            await server.close()

    try:
        asyncio.run(tell())
    except Refused as refused:
        refusal = refused.refusal
        if _IS_LOADED in refusal.message:
            return
        mend = (
            "start it with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its "
            "environment, or base_url is not all of its address (/v1)"
            if refusal.status in (404, 405)
            else "it has to see the path, serve the model that the adapters lie on, and allow as "
            "many ranks (--max-lora-rank)"
        )
        said = f"{refusal.message} ({refusal.status})"
        raise server.failure(
            InvalidInput, f"does not load the adapters in {order['lora_path']}: {said}; {mend}"
        ) from None


def _unload(server: ModelServer, name: str) -> None:
    async def tell() -> None:
        try:
            await server.tell("/unload_lora_adapter", {"lora_name": name})
        except (Refused, Error):
            pass  # it is gone, or its server is
        finally:
            await server.close()

    asyncio.run(tell())
