"""The stages of an experiment: each reads finished stages' folders and fills its own."""
