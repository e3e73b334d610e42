# SPDX-License-Identifier: Apache-2.0
# find, grep, sed, awk, xargs.
mkdir -p d/{x,y}/{1,2}
for f in d/x/1/a.c d/x/2/b.h d/y/1/c.c d/y/2/d.txt; do echo "int $f;" >$f; done
ln -s nowhere d/broken
find d | sort
find d -name '*.c' -type f | sort
find d -type l; find d -empty -type f; find -L d -type l
find d -newer d/x/1/a.c -name missing
find d -name '*.c' -exec wc -c {} + | tail -1
find d -name '*.h' -delete; find d -name '*.h'
find /usr/share/doc -maxdepth 1 | head -1000 | wc -l
grep -rn int d | sort
grep -c . /etc/passwd; grep -o 'root' /etc/passwd | head -1
grep -q nothing d/y/2/d.txt; echo $?
grep pattern missing; echo $?
sed -n 's/int \(.*\);/\1/p' d/x/1/a.c
sed -i 's/int/long/' d/y/1/c.c; cat d/y/1/c.c
printf 'a b c\nd e f\n' | awk '{ s = s $2; n += NF } END { print s, n, NR }'
awk 'BEGIN { for (i = 0; i < 5; i++) printf "%d ", i * i; print ""; "echo sub" | getline x; print x }'
seq 10 | xargs -n 3 echo
printf 'x\0y z\0' | xargs -0 -I{} echo '<{}>'
seq 4 | xargs -P 2 -n 2 sh -c 'exit 0' && echo done
