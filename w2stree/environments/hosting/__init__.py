"""Environments in processes of their own: started, watched, replayed, ended."""
