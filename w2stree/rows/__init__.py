"""What a trainer reads: rows of preferences and demonstrations, from pairs and paths."""
