# SPDX-License-Identifier: Apache-2.0
# abi-stdin: first\nsecond line\nthird
# Standard input: shared position, read by several programs in turn.
read -r line; echo "shell got $line"
head -c 3
echo; dd bs=4 count=1 2>/dev/null; echo
cat; echo
cat | wc -c
echo to-stderr >&2
readlink /proc/self/fd/0 >/dev/null && echo linked
[ -t 0 ] || echo no terminal
exec 0</dev/null; cat; echo "status $?"
