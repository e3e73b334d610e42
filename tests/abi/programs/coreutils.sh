# SPDX-License-Identifier: Apache-2.0
# The everyday tools on a small tree.
umask 022
mkdir -p tree/a/b tree/c
seq 1 1000 >tree/numbers
cp tree/numbers tree/a/copy
ln tree/numbers tree/hard; ln -s numbers tree/soft
head -c 100000 /dev/zero | tee tree/zeros | sha256sum
sort -rn tree/numbers | head -3
uniq -c <(printf 'a\na\nb\n')
wc tree/numbers; md5sum tree/numbers; cksum tree/zeros
cut -d1 -f2 tree/numbers | sort -u | head -4
tr -d 0-4 <tree/numbers | sort | uniq | wc -l
stat -c '%n %F %a %h' tree; stat -c '%n %F %a %s %h' tree/numbers tree/soft
touch -d '2001-02-03 04:05:06 UTC' tree/zeros; stat -c '%y' tree/zeros
chmod u=rwx,go=r tree/a/copy; stat -c %A tree/a/copy
cp -a tree copy; diff -r tree copy && echo same
mv copy/a moved; ls -R moved
dd if=tree/numbers of=part bs=10 skip=2 count=3 2>/dev/null; cat part
split -l 300 tree/numbers piece.; ls piece.*
cat piece.* | cmp - tree/numbers && echo whole
rm -r copy moved piece.*; ls
readlink -f tree/soft | sed "s,$PWD,here,"
basename /a/b.c .c; dirname /a/b.c
expr 6 \* 7; factor 360; test 3 -gt 2; echo $?
du -s --apparent-size -B1 tree/numbers | cut -f1
truncate -s 1M sparse; stat -c %s sparse
install -m 640 part installed; stat -c %a installed
mktemp -d ./t.XXXXXX >/dev/null && rmdir ./t.*
env -i A=1 env; printenv HOME | sed "s,$PWD,home,"
timeout 0.05 sleep 5; echo "timeout $?"
nice -n 3 true; nohup true 2>/dev/null; echo $?
id -u; whoami; tty; nproc --all >/dev/null
date -u -d @1000000000
comm -12 <(seq 1 5) <(seq 3 8); join <(seq 3) <(seq 2 4); paste -s -d, <(seq 4)
base64 <<<hello; od -c <<<hi; nl <<<line; rev <<<abc; tac <(seq 3); fold -w 3 <<<abcdef
rm missing; cat missing; mkdir tree; ls missing
