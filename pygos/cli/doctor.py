# SPDX-License-Identifier: Apache-2.0
"""``pygos doctor``: what the host offers, what is missing, what that means, how to mend it."""

from __future__ import annotations

import click


@click.command()
def doctor() -> int:
    """Tell what this host offers for running machines, and how to mend what is missing.

    Exits with status 0 if machines can run, else 1.
    """
    from pygos.host.doctor import examine

    return examine(click.echo)
