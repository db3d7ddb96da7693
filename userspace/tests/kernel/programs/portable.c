/* An ordinary mutex of any C library that is found taken a known number of times: who holds it waits until the other
 * sleeps for it.
 *
 * portable [--ready-fd N] [--go-fd N] [--json] */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "told.h"

enum { TIMES = 7 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile pid_t other_tid;
static volatile int turn;

/* True while the other thread waits for a futex that is a part of the mutex. */
static int sleeps(void)
{
	char path[64];
	long number = -1;
	unsigned long address = 0, first = (uintptr_t)&lock;
	snprintf(path, sizeof path, "/proc/self/task/%d/syscall", (int)other_tid);
	FILE *file = fopen(path, "r");
	if (!file)
		return 0;
	int found = fscanf(file, "%ld 0x%lx", &number, &address);
	fclose(file);
	return found == 2 && number == SYS_futex && address >= first && address < first + sizeof lock;
}

__attribute__((noinline)) void take_turn(int time)
{
	pthread_mutex_lock(&lock);
	turn = 2 * time + 2;
	pthread_mutex_unlock(&lock);
}

static void *want(void *nothing)
{
	other_tid = (pid_t)syscall(SYS_gettid);
	for (int time = 0; time < TIMES; time++) {
		while (turn != 2 * time + 1)
			usleep(100);
		take_turn(time);
	}
	return nothing;
}

int main(int count, char **arguments)
{
	pthread_t other;
	if (!may_go(count, arguments) || pthread_create(&other, NULL, want, NULL))
		return 1;
	for (int time = 0; time < TIMES; time++) {
		pthread_mutex_lock(&lock);
		turn = 2 * time + 1;
		while (!sleeps())
			usleep(100);
		pthread_mutex_unlock(&lock);
		while (turn != 2 * time + 2)
			usleep(100);
	}
	pthread_join(other, NULL);
	printf("{\"times\":%d}\n", TIMES);
	return 0;
}
