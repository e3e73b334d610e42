# SPDX-License-Identifier: Apache-2.0
# abi-needs: tar gzip
# Archives made, listed and unpacked again.
mkdir -p src/sub
seq 20000 >src/numbers; echo hi >src/sub/file; ln -s numbers src/link; ln src/numbers src/hard
chmod 751 src/sub; mkfifo src/fifo
touch -d '2020-01-01 UTC' src/numbers src/sub/file src/sub
tar czf a.tar.gz --sort=name --mtime='2020-01-01 UTC' --owner=0 --group=0 --numeric-owner src
tar tzvf a.tar.gz
mkdir out; tar xzf a.tar.gz -C out
diff -r src/sub out/src/sub && cmp src/numbers out/src/numbers && echo same
stat -c '%a %h %F' out/src/sub out/src/hard out/src/link out/src/fifo
stat -c %Y out/src/numbers
gzip -f -k -9 src/numbers; gzip -l src/numbers.gz | tail -1 | awk '{ print $2 }'
gunzip -c src/numbers.gz | sha256sum
gzip -t src/numbers.gz; echo $?
head -c 50 src/numbers.gz >bad.gz; gzip -t bad.gz 2>/dev/null; echo $?
rm -f a.tar.gz src/numbers.gz bad.gz
