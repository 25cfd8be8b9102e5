"""A real server of a real model, of the part of vLLM's protocol that a run asks for.

    python -m support.lora_server BASE_DIR ADDRESS_FILE

`/v1/completions` of token ids, computed by transformers, `/v1/load_lora_adapter` and
`/v1/unload_lora_adapter` by PEFT, in vLLM's words. ADDRESS_FILE is written once it answers.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@contextmanager
def lora_server(base: Path, folder: Path) -> Iterator[str]:
    """Its address, while it runs; what it was asked is written to `folder`/requests.jsonl."""
    address = folder / "address"
    command = [sys.executable, "-m", "support.lora_server", str(base), str(address)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1]) as process:
        try:
            while not address.is_file():
                assert process.poll() is None, "the server ended"
                time.sleep(0.05)
            yield address.read_text()
        finally:
            process.terminate()


def main(base: str, address: str) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(base)
    models = {"base": AutoModelForCausalLM.from_pretrained(base).eval()}
    lock = threading.Lock()
    log = Path(address).with_name("requests.jsonl")

    def complete(asked: dict[str, Any]) -> dict[str, Any]:
        model, ids = models[asked["model"]], list(asked["prompt"])
        draw = torch.Generator().manual_seed(asked["seed"])
        said, scores, reason = [], [], "length"
        with torch.no_grad():
            while len(said) < asked["max_tokens"]:
                logits = model(torch.tensor([ids + said])).logits[0, -1].float()
                if "allowed_token_ids" in asked:
                    mask = torch.full_like(logits, -torch.inf)
                    mask[asked["allowed_token_ids"]] = 0.0
                    logits = logits + mask
                logprobs = torch.log_softmax(logits / max(asked["temperature"], 1e-6), dim=-1)
                token = int(logits.argmax())
                if asked["temperature"] > 0:
                    token = int(torch.multinomial(logprobs.exp(), 1, generator=draw))
                said.append(token)
                scores.append(float(logprobs[token]))
                text = tokenizer.decode(said)
                if token in asked["stop_token_ids"] or any(
                    s in text for s in asked.get("stop", ())
                ):
                    reason = "stop"
                    break
        choice = {"index": 0, "text": "", "finish_reason": reason, "token_ids": said}
        return {"choices": [{**choice, "logprobs": {"token_logprobs": scores}}]}

    def load(order: dict[str, Any]) -> str | None:
        name, path = order["lora_name"], order["lora_path"]
        if name in models:
            return f"The lora adapter '{name}' has already been loaded. If you want to load the "
        if not Path(path, "adapter_config.json").is_file():
            return f"Loading lora {name} failed: No adapter found for {path}"
        own = AutoModelForCausalLM.from_pretrained(base)
        models[name] = PeftModel.from_pretrained(own, path).eval()
        return None

    def unload(order: dict[str, Any]) -> str | None:
        del models[order["lora_name"]]
        return None

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            what = self.path.removeprefix("/v1/")
            with lock:
                with log.open("a") as file:
                    model = body.get("model") or body.get("lora_name")
                    file.write(json.dumps([what, model]) + "\n")
                if what == "completions":
                    self.send(200, json.dumps(complete(body)))
                    return
                refusal = {"load_lora_adapter": load, "unload_lora_adapter": unload}[what](body)
            if refusal is None:
                self.send(200, "Success: done.")  # no JSON, as vLLM
                return
            error = {"message": refusal, "type": "InvalidUserInput", "param": None, "code": 400}
            self.send(400, json.dumps({"error": error}))

        def send(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    written = Path(f"{address}.new")
    written.write_text(f"http://127.0.0.1:{server.server_port}/v1")
    written.rename(address)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
