# SPDX-License-Identifier: Apache-2.0
"""The platforms that the tests run on.

``--platform NAME`` puts every machine that a test makes on that platform (by PYGOS_PLATFORM, so
that it reaches ``pygos`` commands too). ``--guests`` leaves out the tests that run no guest
code and are thus the same on each platform. ``make test`` runs everything once, on the default
platform, and the guests' tests again on the others.

Tests of the platforms themselves take the fixture ``platform``: the one that is asked for, else
each of the default order in turn. ``@pytest.mark.only_on("ptrace")`` is for what only one of
them has.
"""

from __future__ import annotations

import os

import pytest

from pygos.arch.um import registry

#: Tests that run guests although they aren't marked one by one.
_GUESTS = ("tests/security/", "tests/suites/", "tests/um/")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--platform", choices=registry.NAMES, help="run machines on this platform")
    parser.addoption("--guests", action="store_true", help="only tests that run guest code")


def pytest_configure(config: pytest.Config) -> None:
    if name := config.getoption("platform"):
        os.environ["PYGOS_PLATFORM"] = name
    os.environ["PYGOS_DAEMON"] = "0"  # nothing is run by a daemon that is there by chance


def pytest_report_header(config: pytest.Config) -> str:
    return f"platform: {' and '.join(platforms(config))}"


def asked_for(config: pytest.Config) -> str:
    """The platform that was named; empty: none was."""
    name = os.environ.get("PYGOS_PLATFORM", "")
    return "" if name == "auto" else name


def platforms(config: pytest.Config) -> tuple[str, ...]:
    """What tests of the platforms run on."""
    name = asked_for(config)
    return (name,) if name else registry.available()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "platform" in metafunc.fixturenames:
        names = platforms(metafunc.config)
        only = metafunc.definition.get_closest_marker("only_on")
        if only is not None:
            names = tuple(name for name in names if name in only.args)
        metafunc.parametrize("platform", names)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    current = asked_for(config) or registry.available()[0]
    for item in items:
        only = item.get_closest_marker("only_on")
        fixtures = getattr(item, "fixturenames", ())
        if only is not None and current not in only.args and "platform" not in fixtures:
            item.add_marker(pytest.mark.skip(reason=f"only on {' and '.join(only.args)}"))
    if config.getoption("guests"):
        kept = [item for item in items if runs_guests(item)]
        config.hook.pytest_deselected(items=[item for item in items if not runs_guests(item)])
        items[:] = kept


def runs_guests(item: pytest.Item) -> bool:
    marked = item.get_closest_marker("boots") is not None
    return marked or item.nodeid.startswith(_GUESTS)
