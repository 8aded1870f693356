"""Run the command `anteojos` with `python -m anteojos`."""

import sys

from anteojos.cli import main

sys.exit(main())
