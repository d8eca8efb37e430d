"""`python -m jnst` is the command `jnst`."""

import sys

from jnst.cli.main import main

sys.exit(main())
