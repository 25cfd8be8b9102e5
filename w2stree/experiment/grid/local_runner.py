"""Running cells on this machine: a process for each of those that run side by side."""

from __future__ import annotations

import threading

from w2stree.experiment.grid.cell_process import LOGS, CellProcess
from w2stree.experiment.grid.cells import Unit
from w2stree.experiment.grid.work import Work


class LocalRunner:
    """A process has one cell at a time, and the next one then. One that dies costs its cell."""

    tries = 1

    def __init__(self, num_processes: int = 2) -> None:
        self._num_processes = num_processes

    def room_for(self, unit: Unit) -> int:
        """As many as there are processes."""
        return self._num_processes

    def run(self, work: Work) -> None:
        """A thread for each process."""
        processes = [
            CellProcess(work.runs / LOGS / f"worker-{i}.log", work.plan.grid.num_threads)
            for i in range(min(self._num_processes, len(work.pending)))
        ]
        errors: list[BaseException] = []

        def serve(process: CellProcess) -> None:
            try:
                while (unit := work.next_unit()) is not None:
                    for event in process.ask(work.request(unit)):
                        work.hear(unit, event)
            except BaseException as error:
                errors.append(error)
                work.end()

        threads = [threading.Thread(target=serve, args=(p,), daemon=True) for p in processes]
        try:
            for thread in threads:
                thread.start()
            while not errors and any(thread.is_alive() for thread in threads):
                for thread in threads:
                    thread.join(0.5)  # Ctrl-C reaches a join that ends
        finally:
            work.end()
            for process in processes:
                process.stop()
            for thread in threads:
                thread.join(10)
            for process in processes:
                process.close()
        if errors:
            raise errors[0]
