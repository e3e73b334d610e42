# SPDX-License-Identifier: Apache-2.0
"""``python -m pygos``: the command line without an installed script."""

import sys

from pygos.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
