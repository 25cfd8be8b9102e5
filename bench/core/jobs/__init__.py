"""The jobs of `python -m bench`: each a module with `rows(plan)`, which yields table rows."""
