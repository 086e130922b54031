"""`python -m mediation.cli` is `tollkeeper`."""

import sys

from mediation.cli import main

sys.exit(main())
