"""`python -m anteojos` is the command `anteojos`."""

import sys

from anteojos.cli import main

sys.exit(main())
