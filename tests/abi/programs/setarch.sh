#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Execution domains as util-linux sets them.
# abi-needs: setarch linux32
linux32 uname -m
linux64 uname -m
setarch --uname-2.6 uname -r | cut -c1-4
setarch -R -L cat /proc/self/personality
setarch x86_64 -B -3 -Z -X -I -S -T cat /proc/self/personality
setarch --list
for i in 1 2 3 4 5; do setarch -R sh -c 'grep -a -e libc -e heap /proc/self/maps'; done | cut -c1-25 | sort -u | wc -l
setarch nonsense true; echo $?
