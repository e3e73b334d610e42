#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# abi-needs: lscpu lsipc lsns findmnt prlimit chrt taskset setpriv flock namei getopt rev column
# abi-as: root
# abi-timeout: 60
# util-linux: what doesn't depend on the hardware.

mask() { sed -E 's/[0-9]+/<n>/g; s/ +/ /g; s/^ //; s/ $//'; }

sleep 1000 &
job=$!
echo "# scheduling"
chrt -m
chrt -p $job | sed "s/$job/<pid>/"
chrt -f -p 5 $job && chrt -p $job | sed "s/$job/<pid>/"
chrt -r 3 sh -c 'chrt -p $$' | mask
chrt -i 0 sh -c 'chrt -p $$' | mask
chrt -f 100 true
chrt -o -p 0 $job
taskset 1 sh -c 'taskset -p $$' | mask
taskset -c 0 sh -c 'taskset -cp $$' | mask
taskset 0 true 2>&1 | mask
ionice -c 3 sh -c 'ionice'
ionice -c 2 -n 7 sh -c 'ionice'
ionice -c 9 true
renice -n 3 -p $job | mask
setsid -w sh -c 'ps -o sid= -p $$ | grep -c $$'
setsid -f true; echo $?

echo "# limits and identity"
prlimit -o RESOURCE,UNITS --noheadings
prlimit --nofile=77:99 sh -c 'ulimit -n; ulimit -Hn'
prlimit -p $job --nofile=50:60
prlimit -o SOFT,HARD --noheadings --nofile -p $job
setpriv --reuid 65534 --regid 65534 --clear-groups id
setpriv --reuid 65534 --regid 65534 --groups 5,6 sh -c 'grep -E "^(Uid|Gid|Groups|CapEff)" /proc/self/status'
setpriv --no-new-privs grep NoNewPrivs /proc/self/status
setpriv --bounding-set -all grep CapBnd /proc/self/status
setpriv --pdeathsig KILL setpriv -d | tail -1
runuser -u nobody -- id -un
su nobody -s /bin/sh -c 'id -un; echo $HOME'
su nosuchuser -c true

echo "# locks"
touch lock
flock lock echo held
flock -n lock sh -c 'flock -n lock true; echo $?'
flock -s lock flock -s -n lock echo shared
flock -w 0.1 lock sh -c 'flock -w 0.1 -E 9 lock true; echo $?'
flock 9 9> lock && lslocks -n -o TYPE,MODE,M 2> /dev/null | sort -u | grep FLOCK | head -1

echo "# mounts, names"
mountpoint /proc; mountpoint -q /etc; echo $?
mountpoint -d /proc | grep -c ^0:
findmnt -n -o TARGET,FSTYPE /proc
findmnt /nowhere; echo $?
namei -m /proc/1/../self/limits | sed '4s/ [^ ]*$/ .../' | head -3
namei -l /nowhere/x | tail -1
lsns -n -o TYPE -p $$ | sort | tr '\n' ' '
echo
lsipc -n -o RESOURCE 2> /dev/null | head -12
lsmem --summary=only -b | cut -d: -f1
lscpu -p=CPU,SOCKET | grep -v '^#' | cut -d, -f1 | wc -l | grep -c "^$(nproc)\$"
lscpu | cut -d: -f1 | grep -E '^(Architecture|CPU\(s\)|Byte|Vendor|Model name|Flags|NUMA node\(s\))'
choom -p $job | sed "s/$job/<pid>/" | tail -1
choom -n 5 -p $job | mask

echo "# text"
printf 'one two\n' | rev
printf 'a b\ncc dd\n' | column -t
getopt -o ab: -l long: -- -a -b x --long=y rest
cal 2> /dev/null | head -0
printf 'x\n' | script -qc 'tty | tr -d 0-9; stty size; cat' /dev/null < /dev/null | head -2
hwclock -r 2>&1 | head -1 | grep -c Cannot
logger -s -t tag text 2>&1 | sed 's/<[0-9]*>.*tag/tag/' | tail -1
whereis -b sh | cut -d: -f1
mesg; echo $?
disown $job
kill -9 $job
