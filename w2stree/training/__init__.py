"""Training on agent turns: rows of ids and masks, trainers, small models."""
