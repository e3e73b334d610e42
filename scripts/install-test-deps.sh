#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Install the Debian packages whose programs the tests run in the machine.
#
# With root or a sudo that asks nothing it installs what is missing; else it says what is
# missing, and the tests that need it are skipped with the reason.
set -u

# program:package
wanted="
    awk:gawk bash:bash bc:bc busybox:busybox-static file:file find:findutils gawk:gawk
    gcc:gcc git:git gzip:gzip make:make openssl:openssl perl:perl sqlite3:sqlite3
    strace:strace tar:tar xz:xz-utils
"

missing=
for pair in $wanted; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
# The busybox of the package `busybox` is static too, but has fewer applets.
[ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    sudo=
elif sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    echo "Without these packages some tests are skipped:$missing"
    echo "Install them with: sudo apt-get install$missing"
    exit 0
fi
command -v apt-get >/dev/null || {
    echo "No apt-get here; please install:$missing"
    exit 0
}
echo "Installing for the tests:$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get -q -q update >/dev/null || echo "apt-get update failed; going on"
# One at a time where all together fail: one missing package must not take the others along.
# shellcheck disable=SC2086
$sudo apt-get -q -q install -y --no-install-recommends $missing >/dev/null 2>&1 ||
    for package in $missing; do
        $sudo apt-get -q -q install -y --no-install-recommends "$package" >/dev/null 2>&1 ||
            echo "could not install $package; its tests are skipped"
    done
exit 0
