# SPDX-License-Identifier: Apache-2.0
# abi-needs: gcc git perl sqlite3 openssl make
# abi-timeout: 90
# What a first user tries: the system's everyday programs, one after the other.
bash -c 'ls -l /usr | sort | head; for i in 1 2 3; do echo $i; done | wc -c'
python3 -c '
import json, subprocess, threading
out = []
threads = [threading.Thread(target=lambda n=n: out.append(sum(range(n * 1000)))) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(sorted(out)), subprocess.check_output(["echo", "child"]))'
printf '#include <stdio.h>\nint main(void) { puts("hello"); return 7; }\n' >hello.c
gcc -O2 hello.c -o h && ./h; echo $?
export GIT_AUTHOR_DATE='2001-02-03T04:05:06Z' GIT_COMMITTER_DATE='2001-02-03T04:05:06Z'
git -c init.defaultBranch=main init -q repo && cd repo && git config user.name n && git config user.email n@e
cp ../hello.c . && git add hello.c && git commit -qm first && git log --stat | cat && git fsck 2>&1 && git status --short; cd ..
perl -e 'my %h = map { $_ => $_ ** 2 } 1 .. 5; print join(" ", map { "$_=$h{$_}" } sort keys %h), "\n"'
awk 'BEGIN { for (i = 0; i < 3; i++) print i * i }'; sed -n '1,2s/i/I/gp' hello.c; grep -c o hello.c; find . -name '*.c' | sort
tar czf t.tgz --mtime=@0 hello.c repo/hello.c && mkdir x && tar xzf t.tgz -C x && find x -type f | sort && cmp x/hello.c hello.c
python3 -c '
import sqlite3
db = sqlite3.connect("t.db"); db.execute("create table t(n integer primary key, s text)")
with db: db.executemany("insert into t(s) values(?)", [(str(n) * 3,) for n in range(500)])
print(db.execute("select count(*), max(length(s)), sum(n) from t").fetchone())'
mkdir proj && for i in 1 2 3 4; do echo "int f$i(void) { return $i; }" >proj/f$i.c; done
printf 'int f1(void), f2(void), f3(void), f4(void);\nint main(void) { return f1() + f2() + f3() + f4(); }\n' >proj/main.c
printf 'p: main.o f1.o f2.o f3.o f4.o\n\t$(CC) -o $@ $^\n' >proj/Makefile
make -s -j2 -C proj 2>&1 | sort && proj/p; echo $?
openssl sha256 hello.c; rm -rf repo/.git/index t.db t.tgz h proj/p proj/*.o x
