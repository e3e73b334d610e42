# SPDX-License-Identifier: Apache-2.0
# abi-needs: gcc make
# abi-timeout: 60
# gcc and make -j2 of a small project.
cat >hello.c <<'END'
#include <stdio.h>
int main(void) { printf("hello from %s\n", __FILE__); return 4; }
END
gcc -O2 hello.c -o hello && ./hello; echo "status $?"
gcc -O2 -static hello.c -o hello-static && ./hello-static; echo "status $?"
echo 'int broken(' >bad.c; gcc -c bad.c 2>/dev/null; echo "status $?"
for i in 1 2 3 4; do echo "int f$i(int x) { return x * $i; }" >f$i.c; done
cat >main.c <<'END'
#include <stdio.h>
int f1(int), f2(int), f3(int), f4(int);
int main(void) { printf("%d\n", f1(1) + f2(2) + f3(3) + f4(4)); return 0; }
END
printf 'prog: main.o f1.o f2.o f3.o f4.o\n\tgcc -o $@ $^\n%%.o: %%.c\n\tgcc -O1 -c $< -o $@\nclean:\n\trm -f *.o prog\n' >Makefile
make -j2 -s && ./prog
make -s; touch f1.c; make -n prog | head -1
make -s clean; ls
rm -f hello hello-static
make nothing; echo "status $?"
