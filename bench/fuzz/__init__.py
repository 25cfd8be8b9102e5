"""What readers do with any bytes: only the typed errors may come out."""
