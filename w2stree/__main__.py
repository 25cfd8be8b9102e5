"""`python -m w2stree` is the command line."""

import sys

from w2stree.cli.app import main

sys.exit(main())
