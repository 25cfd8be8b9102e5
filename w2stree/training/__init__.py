"""Training on agent turns: calls, trainers, small models."""
