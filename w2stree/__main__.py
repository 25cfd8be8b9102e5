"""`python -m w2stree` is the command line."""

import sys

from w2stree.cli import main

sys.exit(main())
