"""Text environments behind one small protocol, each instance in a process of its own."""
