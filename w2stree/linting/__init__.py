"""What training would drop, cut or mis-mask, said before anything is trained."""
