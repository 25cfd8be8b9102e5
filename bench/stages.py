"""Stage times, peak memory and tokens/s of a finished run, from its manifests.

python -m bench.stages runs/quickstart
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(run_dir: Path) -> int:
    files = sorted(run_dir.glob("*/manifest.json"), key=lambda file: file.stat().st_mtime)
    if not files:
        print(f"{run_dir}: no finished stages; make some with `make quickstart`", file=sys.stderr)
        return 2
    manifests = [json.loads(file.read_text()) for file in files]
    print(f"{'stage':<24}{'seconds':>9}{'peak MB':>9}{'train tok/s':>13}{'rollout tok/s':>15}")
    for manifest in manifests:
        print(_line(manifest))
    total = sum(m["seconds"] for m in manifests)
    peak = max(m["peak_memory_mb"] for m in manifests)
    print(f"{'total':<24}{total:>9.1f}{peak:>9.0f}")
    return 0


def _line(manifest: dict[str, Any]) -> str:
    metrics = manifest["metrics"]
    rates = [metrics.get(key) for key in ("tokens_per_s", "generated_tokens_per_s")]
    train, rollout = ("" if rate is None else f"{rate:,.0f}" for rate in rates)
    return (
        f"{manifest['stage']:<24}{manifest['seconds']:>9.1f}{manifest['peak_memory_mb']:>9.0f}"
        f"{train:>13}{rollout:>15}"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m bench.stages RUN_DIR")
    sys.exit(main(Path(sys.argv[1])))
