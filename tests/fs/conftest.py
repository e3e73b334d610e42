# SPDX-License-Identifier: Apache-2.0
"""Host directories that a test has opened are closed after it.

A test's file systems keep descriptors of the host, as those of a machine do, but nobody shuts them
down; and with a thousand open ones select(2) no longer works for later tests.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pygos.host.files import HostFiles


@pytest.fixture(autouse=True)
def host_files_are_closed() -> Iterator[None]:
    """All that are made from here on; module-wide machines were made before, and close theirs."""
    made: list[HostFiles] = []
    plain = HostFiles.__init__

    def remember(self: HostFiles, directory: str, limit: int = 512) -> None:
        plain(self, directory, limit)
        made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HostFiles, "__init__", remember)
        yield
    for files in made:
        files.close_all()
