/* A lock that is found taken a known number of times: who holds it waits until the other sleeps for it.
 *
 * contend plain|spins|orphan|heir|next [--ready-fd N] [--go-fd N] [--json]
 * spins: an adaptive lock, whose __spins is 3, 13, 23 and so on while it is waited for.
 * orphan: the first thread ends before anything else. heir: a second thread replaces the program by `next`, which asks
 * for another go. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "told.h"

enum { TIMES = 7 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t turn;
static char **arguments;
static int count;
static volatile pid_t other_tid;

/* Whether the other thread sleeps. */
static int sleeps(void)
{
	char path[64], line[256] = "";
	snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)other_tid);
	FILE *file = fopen(path, "r");
	if (!file)
		return 0;
	char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
	fclose(file);
	return end && end[1] && end[2] == 'S';
}

static void *want(void *nothing)
{
	other_tid = (pid_t)syscall(SYS_gettid);
	for (int time = 0; time < TIMES; time++) {
		pthread_barrier_wait(&turn);
		pthread_mutex_lock(&lock);
		pthread_mutex_unlock(&lock);
		pthread_barrier_wait(&turn);
	}
	return nothing;
}

static void fight(void)
{
	pthread_t other;
	pthread_barrier_init(&turn, NULL, 2);
	if (pthread_create(&other, NULL, want, NULL))
		exit(1);
	for (int time = 0; time < TIMES; time++) {
		pthread_mutex_lock(&lock);
		lock.__data.__spins = (short)(10 * time + 3);
		pthread_barrier_wait(&turn);
		/* Two means that somebody is on the way to sleep. */
		while (__atomic_load_n(&lock.__data.__lock, __ATOMIC_RELAXED) != 2 || !sleeps())
			usleep(100);
		pthread_mutex_unlock(&lock);
		pthread_barrier_wait(&turn);
	}
	pthread_join(other, NULL);
	printf("{\"times\":%d}\n", TIMES);
	fflush(stdout);
	_exit(0);
}

static void hear(void)
{
	if (!may_go(count, arguments))
		_exit(1);
}

static void *survive(void *first)
{
	pthread_join(*(pthread_t *)first, NULL);
	hear();
	fight();
	return NULL;
}

static void *inherit(void *nothing)
{
	hear();
	strcpy(arguments[1], "next");
	execv("/proc/self/exe", arguments);
	_exit(1);
	return nothing;
}

int main(int argc, char **argv)
{
	static pthread_t first;
	pthread_t second;
	count = argc;
	arguments = argv;
	if (argc > 1 && !strcmp(argv[1], "orphan")) {
		first = pthread_self();
		pthread_create(&second, NULL, survive, &first);
		pthread_exit(NULL);
	}
	if (argc > 1 && !strcmp(argv[1], "heir")) {
		pthread_create(&second, NULL, inherit, NULL);
		pthread_join(second, NULL);
	}
	if (argc > 1 && !strcmp(argv[1], "spins")) {
		pthread_mutexattr_t adaptive;
		pthread_mutexattr_init(&adaptive);
		pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
		pthread_mutex_init(&lock, &adaptive);
	}
	hear();
	fight();
}
