"""python -m bench.fuzz: readers of trajectories and configurations, fed by a fuzzer.

    pip install atheris
    python -m bench.fuzz [--seconds 60] [--only lines,yaml,…] [--corpus DIR]

Coverage-guided (libFuzzer, by atheris), each target in a process of its own. Prints a row for each
as it ends: how many inputs it was given, how many branches they reached, what went wrong. The exit
status is 1 when anything did; the input is then in the corpus directory as `crash-…`, with which
`python -m bench.fuzz --only TARGET --input FILE` raises again. Only what `w2stree.errors` has may
come out of a reader.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.fuzz.targets import TARGETS, run, seeds


def main() -> int:
    options = _arguments()
    if options.input is not None:
        for name in options.only:
            print(f"{name}: {'read' if run(TARGETS[name], options.input.read_bytes()) else 'no'}")
        return 0
    corpus = options.corpus or Path(tempfile.mkdtemp(prefix="w2stree-corpus-"))
    print(
        f"{'reader':<16}{'inputs':>12}{'branches':>10}  went wrong (corpus: {corpus})", flush=True
    )
    return max(_run(name, corpus, options.seconds) for name in options.only)


def _run(name: str, corpus: Path, seconds: int) -> int:
    folder = corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (folder / f"seed-{number}").write_bytes(seed)
    command = [sys.executable, "-m", "bench.fuzz.instrumented", name, str(folder), str(seconds)]
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    told = ended.stdout + ended.stderr
    counts = re.findall(r"#(\d+)\s+\w+\s+cov: (\d+)", told)
    inputs, branches = counts[-1] if counts else ("0", "0")
    wrong = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception|Failure).*$|ALARM.*|.*timeout after.*",
                       told, re.MULTILINE)  # fmt: skip
    is_well = ended.returncode == 0
    note = "0" if is_well else "; ".join(wrong[:3]) or told[-2_000:]
    print(f"{name:<16}{int(inputs):>12,}{int(branches):>10,}  {note}", flush=True)
    return 0 if is_well else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each reader")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(TARGETS))
    parser.add_argument("--corpus", type=Path, help="kept, and begun from (default: a new one)")
    parser.add_argument("--input", type=Path, help="a file to give to --only's readers once")
    options = parser.parse_args()
    if unknown := set(options.only) - set(TARGETS):
        parser.error(f"no reader {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
