"""What WebShop costs a process: `python -m bench.environments.webshop DIR [--copies N]`.

`--copies` repeats DIR's products under new asins: a larger shop where the full one is not at hand.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from bench.core.jobs.memory import status_mib
from w2stree.environments.webshop import WebShop
from w2stree.environments.webshop.catalogue import DataFiles

NUM_EPISODES = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--copies", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = options.data
        if options.copies > 1:
            data = Path(folder)
            write_copies(DataFiles.of(options.data), data, options.copies)
        measure(data)


def write_copies(files: DataFiles, folder: Path, copies: int) -> None:
    """The same products `copies` times, with the attributes of each."""
    products = json.loads(files.products.read_text(encoding="utf-8"))
    attributes = json.loads(files.attributes.read_text(encoding="utf-8"))
    copied, described = [], {}
    for copy in range(copies):
        for number, product in enumerate(products):
            asin = f"{copy:03}{number:07}"
            copied.append({**product, "asin": asin})
            described[asin] = attributes.get(product["asin"], {})
    (folder / "items_shuffle.json").write_text(json.dumps(copied), encoding="utf-8")
    (folder / "items_ins_v2.json").write_text(json.dumps(described), encoding="utf-8")


def measure(data: Path) -> None:
    before, started = status_mib("VmRSS"), time.process_time()
    shop = WebShop(data)
    print(f"start     {time.process_time() - started:8.1f} s of CPU time")
    print(f"memory    {status_mib('VmRSS') - before:8.0f} MiB")
    print(f"peak      {status_mib('VmHWM'):8.0f} MiB")
    print(f"goals     {sum(len(shop.tasks(s)) for s in ('train', 'dev', 'test')):8}")
    num_steps, started = 0, time.process_time()
    for task in shop.tasks("train")[:NUM_EPISODES]:
        shop.reset(task)
        for turn in shop.expert():
            num_steps += 1
            if any(shop.step(turn.action)[2:4]):
                break
    seconds = time.process_time() - started
    print(
        f"play      {num_steps / seconds:8.0f} expert steps/s, the expert's own searches included"
    )


if __name__ == "__main__":
    main()
