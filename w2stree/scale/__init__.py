"""Forests, pairs and paths of more runs than one process holds: functions on tables, engines."""
