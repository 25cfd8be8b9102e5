"""The store of runs against plain and packed JSON lines: `python -m bench.store`."""
