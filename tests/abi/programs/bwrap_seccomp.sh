#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A sandbox with a filter of its own: mkdir(2) gives EXDEV.
# abi-needs: bwrap
# abi-as: root
printf '\040\0\0\0\0\0\0\0\025\0\0\001\123\0\0\0\006\0\0\0\022\0\005\0\006\0\0\0\0\0\377\177' > filter
bwrap --ro-bind / / --tmpfs /tmp --seccomp 9 sh -c '
mkdir /tmp/x
touch /tmp/y && ls /tmp
grep -a Seccomp /proc/self/status
' 9< filter 2>&1
bwrap --ro-bind / / --unshare-pid --proc /proc --seccomp 9 sh -c 'echo $$' 9< filter
printf 'nonsense' > filter
bwrap --ro-bind / / --seccomp 9 true 9< filter 2>&1
echo $?
