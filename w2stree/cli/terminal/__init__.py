"""A forest to browse in a terminal (`w2stree view --terminal`): needs the extra `terminal`."""
