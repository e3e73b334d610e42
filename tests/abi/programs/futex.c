/* SPDX-License-Identifier: Apache-2.0 */
/* futex(2) itself: wait, wake, requeue, errors. */
#include "check.h"
#include <linux/futex.h>

#define FUTEX(word, op, val, ts, word2, val3) syscall(SYS_futex, word, op, val, ts, word2, val3)

int main(void)
{
	struct timespec soon = { 0, 2000000 }, bad = { 0, -1 };
	uint32_t *word = mmap(NULL, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	*word = 5;
	SHOW(FUTEX(word, FUTEX_WAIT, 4, NULL, NULL, 0));
	SHOW(FUTEX(word, FUTEX_WAIT, 5, &soon, NULL, 0));
	SHOW(FUTEX(word, FUTEX_WAIT_PRIVATE, 5, &soon, NULL, 0));
	SHOW(FUTEX(word, FUTEX_WAIT, 5, &bad, NULL, 0));
	SHOW(FUTEX((char *)word + 1, FUTEX_WAIT, 5, NULL, NULL, 0));
	SHOW(FUTEX(8, FUTEX_WAIT, 5, NULL, NULL, 0));
	SHOW(FUTEX(word, FUTEX_WAKE, 1, NULL, NULL, 0));
	SHOW(FUTEX(word, 99, 1, NULL, NULL, 0));
	SHOW(FUTEX(word, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0));
	SHOW(FUTEX(word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
	for (int i = 0; i < 3; i++)
		if (fork() == 0) {
			__atomic_add_fetch(word + 10, 1, __ATOMIC_SEQ_CST);
			while (*word == 5)
				FUTEX(word, FUTEX_WAIT, 5, NULL, NULL, 0);
			_exit(0);
		}
	while (__atomic_load_n(word + 10, __ATOMIC_SEQ_CST) < 3)
		sched_yield();
	usleep(20000);
	SHOW(FUTEX(word, FUTEX_CMP_REQUEUE, 1, (void *)1, word + 1, 4));
	SHOW(FUTEX(word, FUTEX_CMP_REQUEUE, 0, (void *)1, word + 1, 5));
	*word = 6;
	SHOW(FUTEX(word, FUTEX_WAKE, 100, NULL, NULL, 0));
	SHOW(FUTEX(word + 1, FUTEX_WAKE, 100, NULL, NULL, 0));
	while (wait(&status) > 0)
		say("child %x\n", status);
	return 0;
}
