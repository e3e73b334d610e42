#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# abi-needs: ps pgrep free pmap lsof flock lslocks prlimit taskset chrt ionice renice
# abi-as: root
# abi-timeout: 60
# Programs that read /proc about processes; numbers that differ each time are masked.

mask() { sed -E 's/[0-9a-f]{8,}/<hex>/g; s/[0-9]+(\.[0-9]+)?/<n>/g; s/ +/ /g; s/^ //; s/ $//'; }

sleep 1000 &
job=$!
until [ "$(cat /proc/$job/comm)" = sleep ]; do :; done
renice -n 7 -p $job | mask
taskset -p 1 $job | mask
chrt -b -p 0 $job
ionice -c 2 -n 6 -p $job

echo "# ps"
for field in $(ps L | cut -d' ' -f1); do
	case $field in
	*cgroup* | ag_* | cgname | wchan | wname | lxc | machine | seat | slice | unit | uunit | zone | \
		lsession | ouid | context | label | *ns | docker | luid | psr | lastcpu | sgi_p | \
		cpuid | start* | lstart | stime | bsdstart | pss | uss | rss* | rsz | size | m_* | \
		*dr[sr]* | vs* | sz | *trs* | *siz* | pmem | %mem | *cpu* | c | cp | util | cu[cu] | \
		*_left* | *_right* | *unlimited* | *flt* | pagein | *bytes | *chars | *ops | oom | \
		sess* | sid | tty* | tt | tname | longtname | tpgid | numa | *esp | *eip | stackp) continue ;;
	esac
	echo "$field: $(ps -o $field= -p $job | mask)"
done
ps -o pid,ppid,pgid,stat,ni,cls,rtprio,args -p $job | mask
ps -o f,uid,pri,ni,s,comm --ppid $$ | grep sleep | mask
ps -C sleep -o comm= --ppid $$ | sort -u
kill -STOP $job
until grep -q stopped /proc/$job/status; do :; done
ps -o stat= -p $job
kill -CONT $job

echo "# pgrep"
pgrep -P $$ -x sleep | grep -c "^$job$"
pgrep -P $$ -a sleep | mask
pgrep -P $$ -u nobody; echo $?
pkill -0 -P $$ sleep; echo $?
pwdx $job | sed "s/$job/<pid>/"

echo "# files"
exec 7< /dev/null 8> out 9>> log
lsof -a -p $$ -d 7,8,9 -Fftan | grep -v '^p' | sed "s,$PWD,.,"
ls -l /proc/$$/fd | awk '$9 == "7" { print $1, $9, $10, $11 }'
grep -E '^(pos|flags)' /proc/$$/fdinfo/[789] | sed 's,/proc/[0-9]*,/proc/<pid>,'
flock 8
lslocks -p $$ -n -o TYPE,MODE,M,START,END | mask
grep -c "^lock:.*FLOCK  ADVISORY  WRITE" /proc/$$/fdinfo/8
exec 8>&-
pmap $job | grep -o 'sleep$\|libc.so.6$\|stack \]\|total' | sort -u

echo "# status"
until grep -q sleeping /proc/$job/status; do :; done
for what in status limits stat statm io; do
	echo "$what: $(wc -w < /proc/$job/$what)" | sed 's/status: .*/status/'
done
cut -d: -f1 /proc/$job/status | grep -v -E '^(x86_|Cpus|Mems|Groups)' | tr '\n' ' '
echo
# Real-time signals may be ignored from the start: whoever started this decides.
grep -E '^(Name|Umask|State|Threads|SigBlk|SigIgn|SigCgt|NoNewPrivs|Seccomp|CapInh|CapAmb)' \
	/proc/$job/status | sed 's/^\(SigIgn:\t\).*\(.......\)$/\1\2/'
cut -d: -f1 /proc/$job/io | tr '\n' ' '
head -1 /proc/$job/limits
cut -c1-26 /proc/$job/limits | tail -n +2
prlimit -p $job --nofile=100:200 && grep 'open files' /proc/$job/limits
echo 300 > /proc/$job/oom_score_adj && cat /proc/$job/oom_score_adj /proc/$job/oom_adj
tr '\0' ' ' < /proc/$job/cmdline; echo
readlink /proc/$job/exe | sed 's,.*/,,'
cat /proc/$job/comm /proc/$job/personality /proc/$job/coredump_filter
echo 5 > /proc/$job/coredump_filter && cat /proc/$job/coredump_filter
tail -n 1 /proc/$job/smaps | cut -d: -f1
awk '{ print $1 }' /proc/$job/smaps_rollup | tail -n +2 | tr '\n' ' '
echo
cut -d' ' -f2- /proc/$job/numa_maps | grep -c default | mask
ls /proc/$job/task | wc -l
cat /proc/$job/timers /proc/$job/task/$job/children
ls /proc/$job/map_files | wc -l | mask
cat /proc/$job/clear_refs 2>&1 | mask
echo 9 > /proc/$job/clear_refs
od -An -tx1 -N 0 /proc/$job/pagemap
free | head -1
free -w | wc -l
kill $job
wait $job 2> /dev/null
echo $?
cat /proc/$job/stat 2>&1 | sed "s/$job/<pid>/"
