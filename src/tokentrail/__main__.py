"""``python -m tokentrail`` is the command ``tokentrail``."""

import sys

from tokentrail.cli import main

if __name__ == "__main__":
    sys.exit(main())
