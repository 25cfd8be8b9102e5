"""`python -m bench.store [--sessions N] [--alfworld train.jsonl.gz] [--strong]`

Of each data set: bytes as JSON lines, packed by zstd -3 (with `--strong` by zstd -19 --long=27
too), in a store; how fast it is taken, opened, and given back. Seconds are the processor's, of one
thread. The baselines are zstd's own program, files one after another in one stream.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.store import alfworld, sessions
from w2stree.store import Store
from w2stree.store.adding import add

_READS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--alfworld", type=Path)
    parser.add_argument("--strong", action="store_true", help="zstd -19 --long=27 too: slow")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.sessions:
            file = Path(folder) / "sessions.jsonl"
            with file.open("wb") as opened:
                opened.writelines(sessions.lines(options.sessions))
            measure(f"{options.sessions:,} sessions", [file], Path(folder), options.strong)
            file.unlink()
        if options.alfworld is not None:
            files = alfworld.write(options.alfworld, Path(folder) / "alfworld")
            measure("ALFWorld, six formats", files, Path(folder), options.strong)


def measure(title: str, files: Sequence[Path], folder: Path, strong: bool) -> None:
    raw = sum(file.stat().st_size for file in files)
    store = folder / "store"
    taken = _seconds(lambda: list(add(store, files, reads=False)))
    size = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    print(f"{title}: {raw / 1e6:,.1f} MB of JSON lines", flush=True)
    print(f"  store                {size / 1e6:9.3f} MB  {raw / size:6.1f}x smaller", flush=True)
    levels = [["-3"], ["-19", "--long=27"]] if strong else [["-3"]]
    for level in levels:
        packed = _packed(files, level)
        print(
            f"  zstd {' '.join(level):<15} {packed / 1e6:9.3f} MB  {raw / packed:6.1f}x smaller; "
            f"the store is {packed / size:.2f}x smaller than that",
            flush=True,
        )
    print(f"  taken at {raw / 1e6 / taken:,.0f} MB/s")
    _reads(store)
    shutil.rmtree(store)


def _reads(folder: Path) -> None:
    chance, opening, cold, warm = random.Random(0), [], [], []
    with Store(folder) as kept:
        places = [
            (source, line)
            for source in chance.choices(kept.sources(), k=_READS)
            for line in [chance.randint(1, source.num_records)]
        ]
        for source, line in places:
            place = f"{source.name}:{line}"
            with Store(folder) as store:
                opening.append(_seconds(lambda: Store(folder).close()))
                cold.append(_seconds(lambda s=store, p=place: s.record(p)))  # type: ignore[misc]
            warm.append(_seconds(lambda p=place: kept.record(p)))  # type: ignore[misc]
    for name, seconds in (("opened", opening), ("first run read", cold), ("next runs", warm)):
        told = sorted(1e3 * s for s in seconds)
        print(f"  {name:<15} median {told[len(told) // 2]:.2f} ms, most {told[-1]:.2f} ms")
    with Store(folder) as store:
        num_bytes = 0

        def everything() -> None:
            nonlocal num_bytes
            num_bytes = sum(len(r) for s in store.sources() for r in store.read(s))

        seconds_of_all = _seconds(everything)
    print(f"  all given back at {num_bytes / 1e6 / seconds_of_all:,.0f} MB/s")


def _packed(files: Sequence[Path], level: Sequence[str]) -> int:
    with (
        subprocess.Popen(["cat", *files], stdout=subprocess.PIPE) as cat,
        subprocess.Popen(["zstd", "-c", *level], stdin=cat.stdout, stdout=subprocess.PIPE) as zstd,
    ):
        assert zstd.stdout is not None
        size = 0
        while data := zstd.stdout.read(1 << 20):
            size += len(data)
    return size


def _seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
