/* SPDX-License-Identifier: Apache-2.0 */
/* Floating point and vector registers survive calls, switches, forks and signal handlers. */
/* abi-cflags: -pthread -lm */
#include "check.h"
#include <fenv.h>
#include <math.h>
#include <pthread.h>

static volatile double clobber;

static void handler(int sig)
{
	for (int i = 1; i < 100; i++)
		clobber += sqrt(i) * sig;
	fesetround(FE_UPWARD);
}

static void *spin(void *arg)
{
	double x = (long)arg, sum = 0;

	for (int i = 0; i < 200000; i++) {
		sum += sin(x + i) * cos(x - i);
		if (i % 1000 == 0)
			sched_yield();
	}
	double *result = malloc(sizeof(*result));
	*result = sum;
	return result;
}

static double registers(void)
{
	double a = 1.5, b = 2.5, c = 3.5, d = 4.5;

	for (int i = 0; i < 1000; i++) {
		asm volatile("" : "+x"(a), "+x"(b), "+x"(c), "+x"(d));
		if (i % 100 == 0)
			raise(SIGUSR1);
		else
			getppid();
		asm volatile("" : "+x"(a), "+x"(b), "+x"(c), "+x"(d));
		a += b / 3;
		b += c / 7;
		c += d / 11;
		d += a / 1e6;
	}
	return a + b + c + d;
}

int main(void)
{
	pthread_t threads[4];
	double *result;

	signal(SIGUSR1, handler);
	say("%.17g\n", registers());
	IS(fegetround() == FE_TONEAREST);
	fesetround(FE_DOWNWARD);
	raise(SIGUSR1);
	IS(fegetround() == FE_DOWNWARD);
	if (fork() == 0) {
		IS(fegetround() == FE_DOWNWARD);
		_exit(0);
	}
	wait(NULL);
	fesetround(FE_TONEAREST);
	for (long i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, spin, (void *)i);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], (void **)&result);
		say("%.17g\n", *result);
	}
	long double x = 1.0L / 3;
	getppid();
	say("%.20Lg\n", x);
	return 0;
}
