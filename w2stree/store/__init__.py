"""One store for all runs: what returns in them is kept once, and every file comes back to the byte.

w2stree store add DIR logs/      Store.open(DIR).add(…)
DIR/catalogue.sqlite             which sources there are, and in which segments
DIR/segments/00000001.seg        their bytes: pieces, and records made of pieces (docs/store.md)
"""

from w2stree.store.store import Store

__all__ = ["Store"]
