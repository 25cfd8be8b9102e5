"""Training on each sequence by itself, with TRL's own trainers: for the models that trees refuse,
and what training on trees is compared with."""
