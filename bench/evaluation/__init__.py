"""What intervals and p-values over seeds and tasks are worth."""
