"""The program of an environment's process, run as a file: `python -P child.py DESCRIPTOR`.

As a file, because the package may be found only with the driver's `sys.path`, which is the first
thing that comes through the pipe; and without its folder on that path (`-P`). The driver's main
script is not imported: a script without a main guard, one that loads torch at its top, and a
notebook cost nothing here.
"""

from __future__ import annotations

import json
import os
import socket
import sys


def main() -> None:
    end = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(end.fileno(), False)  # what the engine starts does not hold the pipe open
    size = int.from_bytes(end.recv(8, socket.MSG_WAITALL), "big")
    path = end.recv(size, socket.MSG_WAITALL)
    if len(path) < size or not size:
        return  # the driver is gone
    sys.path[:] = json.loads(path)
    from w2stree.environments.hosting.serving import serve

    serve(end)


if __name__ == "__main__":
    main()
