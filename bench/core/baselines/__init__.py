"""What the core is compared with, written by us in good faith: each the best of its style.

A baseline states in its docstring what it is, takes its natural input (Python lists where it
is Python), and is checked against the core's result before anything is timed. One that needs a
package of the `bench` extra imports it at the top, so importing it fails without the package.
"""
