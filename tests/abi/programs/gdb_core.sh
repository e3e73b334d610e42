#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# abi-needs: gcc gdb
# abi-timeout: 60
# gdb tells the same about a core file made here as about one of Linux.
cat > crash.c <<'C'
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static char text[] = "in the data segment";
static sem_t up;
struct pair { int left; double right; } pair = {42, 2.5};
static void *waits(void *arg)
{
	sem_post(&up);
	pause();
	return arg;
}
static int depth(int n, const char *name)
{
	char local[16] = "";

	strcpy(local, name);
	if (!n)
		*(volatile int *)8 = 1;
	return depth(n - 1, local) + local[0];
}
int main(void)
{
	pthread_t thread;
	char *heap = strdup("on the heap");
	sem_init(&up, 0, 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&thread, NULL, waits, NULL);
	sem_wait(&up);
	sem_wait(&up);
	usleep(100000);
	return depth(3, heap) + text[0];
}
C
gcc -g -O0 -pthread -o crash crash.c || exit 1
ulimit -c unlimited
exec 2> /dev/null # bash has its own words for a crash
{ ./crash; } 2> /dev/null
echo "status $?"
core=$(ls core* | head -1)
stat -c '%a %h %F' "$core"
gdb -q -nx -batch -ex bt -ex 'frame 2' -ex 'info locals' -ex 'print text' -ex 'print pair' \
	-ex 'print $_siginfo.si_signo' -ex 'print $_siginfo._sifields._sigfault.si_addr' \
	-ex 'up 2' -ex 'x/s heap' -ex 'info threads' -ex 'thread 2' -ex 'bt 3' \
	-ex 'info signal SIGSEGV' -ex 'info proc cmdline' ./crash "$core" 2>&1 |
	grep -v -i 'warning\|debuginfod\|thread_db' |
	sed -E 's/0x[0-9a-f]{5,}/<hex>/g; s/LWP [0-9]+/LWP <n>/g; s/process [0-9]+/process <n>/g; s/^\[New .*//; s/ +/ /g' |
	grep -v '^$'
rm -f "$core" crash crash.c
