"""One contestant alone in a process, for its peak of memory; see `bench.training`."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import torch

from bench.core.jobs.memory import status_mib
from bench.training.contestants import CONTESTANTS

if __name__ == "__main__":
    torch.set_num_threads(1)
    CONTESTANTS[sys.argv[2]](pickle.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[3]))
    # getrusage would begin with what the parent held when it forked.
    print(json.dumps({"peak_mib": status_mib("VmHWM")}))
