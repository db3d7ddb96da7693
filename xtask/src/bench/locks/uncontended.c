/* A thread that takes a lock which no other thread wants: waits for a byte on descriptor 9, then tells its time. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 1;
	pthread_mutex_t lock = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
	struct timespec begin, end;
	char go;
	if (write(8, "ready\n", 6) != 6 || read(9, &go, 1) != 1)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (long round = 0; round < rounds; round++) {
		pthread_mutex_lock(&lock);
		pthread_mutex_unlock(&lock);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("{\"cells\":[{\"elapsed_ns\":%ld}]}\n",
	       (end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec - begin.tv_nsec);
	return 0;
}
