"""Faults tried on purpose: killed drivers, damaged files, full disks, broken environments."""
