"""`python -m texcsd` is the same as `texcsd`."""

import sys

from texcsd.cli import main

if __name__ == "__main__":
    sys.exit(main())
