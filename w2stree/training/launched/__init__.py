"""A training stage in several processes: handed to a launcher, and its weights read back."""
