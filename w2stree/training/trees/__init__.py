"""Training on trees: what sequences share is computed once, and every loss and gradient is that of
the sequences one at a time."""
