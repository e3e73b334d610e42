# SPDX-License-Identifier: Apache-2.0
# abi-needs: strace gdb ltrace gcc
# abi-timeout: 120
# abi-hide: (LWP|process|Process|pid|Inferior \d+ \(process) \d+
# strace, gdb and ltrace on the same programs.
exec 2>&1
hide() { sed -E 's/0x[0-9a-f]+/X/g; s/^[0-9]+ +//; s/=[ ]?[0-9]{2,}/=N/g; s/si_[us]time=[^,}]*/si_time/g'; }
cat > crash.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
volatile int g, watched;
int add(int a, int b) { return a + b; }
int deep(int n, int *p) { if (n == 0) { *p = 1; return 0; } g += n; return deep(n - 1, p) + 1; }
int main(int argc, char **argv)
{
    char *text = malloc(10);
    strcpy(text, "abc");
    printf("%s %zu\n", text, strlen(text));
    free(text);
    for (int i = 1; i < 4; i++)
        watched = add(i, i);
    if (argc > 1)
        return watched;
    return deep(3, NULL);
}
END
gcc -g -O0 -o crash crash.c
ulimit -c 0
echo == strace -f
strace -f -o t bash -c 'ls crash.c | wc'
echo status $?
grep -c exited t
strace -o t -e trace=write,exit_group ./crash x
hide < t
echo == inject
strace -o t -e trace=write -e inject=write:error=ENOSPC ./crash x
hide < t
echo == signals
strace -o t -e trace=none sh -c 'trap "echo caught" USR1; kill -USR1 $$; kill -TERM $$'
echo status $?; hide < t | sed 's/si_pid=[0-9]*//'
echo == gdb
gdb -batch -ex run -ex bt ./crash < /dev/null 2>&1 | hide
cat > script <<'END'
set pagination off
set width 0
break add if a == 2
run x
bt
finish
watch watched
continue
continue
delete
print add(20, 22)
print (int)strlen("hello")
tbreak exit
continue
info inferiors
kill
END
gdb -batch -x script ./crash < /dev/null 2>&1 | hide | grep -v 'native\|^  Num\|No such file'
echo == ltrace
ltrace -o t ./crash x; hide < t
rm -f t script crash crash.c
