"""The report of a run: text, charts, trees, one page."""
