"""One reader under the fuzzer, in this process: python -m bench.fuzz.instrumented READER CORPUS
SECONDS. Branches are counted in what is imported here for the first time."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["w2stree", "yaml"]):
    from bench.fuzz import targets

_LONGEST = 1 << 13  # bytes of an input
_HANGS_S = 60  # of an input that takes as long


def main(name: str, corpus: str, seconds: str) -> None:
    target = targets.TARGETS[name]

    def feed(data: bytes) -> None:
        targets.run(target, data)

    flags = [f"-max_total_time={seconds}", f"-max_len={_LONGEST}", f"-timeout={_HANGS_S}"]
    flags += [f"-artifact_prefix={corpus}/", "-rss_limit_mb=4096"]
    atheris.Setup([sys.argv[0], *flags, corpus], feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
