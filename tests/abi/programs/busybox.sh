# SPDX-License-Identifier: Apache-2.0
# abi-needs: busybox
# abi-timeout: 60
# Static busybox: every applet that needs no network, mount, terminal or root.
b() { busybox "$@"; }
b echo hi; b true; echo $?; b false; echo $?; b printf '%d %s\n' 3 x; b expr 3 + 4; b seq 3
b seq 100 >n; b wc n; b head -2 n; b tail -2 n; b sort -r n | b head -1; b uniq n | b wc -l
b cat n | b md5sum; b sha1sum n; b sha256sum n; b sha512sum n; b sha3sum n; b cksum n; b crc32 n
b cp n m; b mv m o; b ln -s o l; b ln o h; b ls -1; b readlink l; b stat -c '%a %s %h' o; b rm l h
b mkdir -p p/q; b touch p/q/f; b find p; b rmdir p/q; b rm -r p; b ls
b grep 9 n | b wc -l; b egrep '^(1|2)0$' n; b fgrep 55 n; b sed -n '5p;$p' n; b awk '{ s += $1 } END { print s }' n
b tr 0-9 a-j <n | b head -3; b cut -c1 n | b sort -u | b tr -d '\n'; echo; b paste -s -d+ n | b bc
b dd if=n of=d bs=10 count=2 2>/dev/null; b cat d; b od -c d | b head -2; b hexdump -C d; b xxd d
b gzip -c n | b gunzip | b cmp - n; echo $?; b bzip2 -c n | b bunzip2 | b cmp - n; echo $?; b xzcat /dev/null; echo $?
b tar cf t.tar n o; b tar tf t.tar; b cpio -t </dev/null; b rm t.tar
b base64 d; b uuencode d x | b head -1; b rev d; b tac d; b nl d; b fold -w 4 d; b expand d; b unexpand d
b basename /x/y; b dirname /x/y; b realpath . >/dev/null; echo $?; b which sh >/dev/null; echo $?; b test 1 -lt 2; echo $?
b date -u -d @86400; b cal 1 2000; b id -u; b whoami; b logname 2>/dev/null; b uname -s; b nproc >/dev/null; b env -i b 2>/dev/null
b sleep 0.01; b usleep 10; b timeout 1 b 2>/dev/null; b yes | b head -2; b factor 91; b shuf -n 1 -i 5-5; b tee x <d; b cmp d x
b diff n o && echo same; b patch </dev/null; b comm -12 n o | b wc -l; b split -l 50 n s.; b ls s.*; b truncate -s 5 x; b cat x; echo
b sh -c 'x=3; while [ $x -gt 0 ]; do echo $x; x=$((x - 1)); done; (exit 6); echo $?; echo `echo sub` | cat'
b ash -c 'trap "echo trapped" INT; kill -INT $$; kill -TERM $$'; echo $?
b xargs -n 2 echo <d; b seq 4 | b xargs echo; b mktemp ./tmp.XXXXXX >/dev/null; b rm -f tmp.*; b mkfifo ff; b rm ff
b chmod 600 d; b stat -c %a d; b umask 2>/dev/null; b nice -n 1 true; b nohup true 2>/dev/null; b setsid true; b chrt -p 1 >/dev/null 2>&1
b pwd | b sed "s,$PWD,here,"; b printenv TZ; b hostid | b wc -c; b ps >/dev/null; echo $?; b free >/dev/null; echo $?; b uptime >/dev/null; echo $?
b df /proc >/dev/null; echo $?; b du -s . >/dev/null; echo $?; b sync; b dos2unix <d | b wc -c; b strings n | b head -1; b getopt a -a x
b tsort <<<'a b'; b sum d; b ed -s n <<<'2p'; b vi -h 2>&1 | b head -1; b watch -h 2>/dev/null; b time true 2>/dev/null; echo $?
b nonsense 2>/dev/null; echo $?
