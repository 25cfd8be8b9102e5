"""One contestant alone in a process, for its peak of memory; see `bench.training`."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import torch

from bench.training.contestants import CONTESTANTS

if __name__ == "__main__":
    torch.set_num_threads(1)
    CONTESTANTS[sys.argv[2]](pickle.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[3]))
    # Of this program alone: getrusage begins with what the parent held when it forked.
    status = Path("/proc/self/status").read_text()
    print(json.dumps({"peak_mib": int(status.partition("VmHWM:")[2].split()[0]) / 1024}))
