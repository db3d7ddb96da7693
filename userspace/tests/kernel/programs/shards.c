/* Two threads take one of many adaptive mutexes at a time, at random, and seldom meet. How long each spin was, the program
 * knows without being looked at: it sets the library's running mean, __spins, to a value that no spin can have before
 * it lets a lock go. Whoever finds the lock taken moves the mean by an eighth of the difference, and so tells its count,
 * to eight: __spins += (count - __spins) / 8. Who finds it free leaves it alone.
 *
 * shards MILLISECONDS [--locks N] [--ready-fd N] [--go-fd N] [--json] */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rivals.h"
#include "told.h"

enum { LOCKS = 160, THREADS = 2, BUCKETS = 64, HOLD = 3000, THINK = 1500 };
/* Seven more than a multiple of eight: what moves it tells the count divided by eight, rounded down. */
enum { MARK = 32007, LEAST = MARK - MARK / 8 };

static struct shard {
	pthread_mutex_t lock;
} __attribute__((aligned(128))) shards[LOCKS];

struct worker {
	pthread_t thread;
	uint64_t random, until_ns, acquisitions, contended, odd, spins[BUCKETS];
} __attribute__((aligned(128)));

static struct worker workers[THREADS];
static pthread_barrier_t begin;
static uint32_t locks = LOCKS;

static void *run(void *argument)
{
	struct worker *self = argument;
	settle((int)(self - workers));
	pthread_barrier_wait(&begin);
	/* The clock is asked now and then only. */
	for (uint64_t turn = 1; turn % 256 || now_ns() < self->until_ns; turn++) {
		pthread_mutex_t *lock = &shards[draw(&self->random) % locks].lock;
		uint32_t hold = draw(&self->random) % (2 * HOLD), think = draw(&self->random) % (2 * THINK);
		pthread_mutex_lock(lock);
		int mean = lock->__data.__spins;
		lock->__data.__spins = MARK;
		work(hold);
		pthread_mutex_unlock(lock);
		self->acquisitions++;
		if (mean != MARK) {
			int bucket = mean - LEAST;
			self->contended++;
			if (bucket >= 0 && bucket < BUCKETS)
				self->spins[bucket]++;
			else
				self->odd++;
		}
		work(think);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	uint64_t milliseconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	locks = (uint32_t)told(argc, argv, "--locks", (int)locks);
	if (!locks || locks > LOCKS)
		return 2;
	pthread_mutexattr_t adaptive;
	pthread_mutexattr_init(&adaptive);
	pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
	for (int at = 0; at < LOCKS; at++) {
		pthread_mutex_init(&shards[at].lock, &adaptive);
		shards[at].lock.__data.__spins = MARK;
	}
	if (!may_go(argc, argv))
		return 1;
	pthread_barrier_init(&begin, NULL, THREADS);
	uint64_t since = now_ns();
	for (int at = 0; at < THREADS; at++) {
		workers[at].random = 88172645463325252ULL + 7919 * at + since;
		workers[at].until_ns = since + milliseconds * 1000000;
		if (pthread_create(&workers[at].thread, NULL, run, &workers[at]))
			return 1;
	}
	uint64_t acquisitions = 0, contended = 0, odd = 0, spins[BUCKETS] = { 0 };
	for (int at = 0; at < THREADS; at++) {
		pthread_join(workers[at].thread, NULL);
		acquisitions += workers[at].acquisitions;
		contended += workers[at].contended;
		odd += workers[at].odd;
		for (int bucket = 0; bucket < BUCKETS; bucket++)
			spins[bucket] += workers[at].spins[bucket];
	}
	printf("{\"cells\":[{\"elapsed_ns\":%lu}],\"acquisitions\":%lu,\"contended\":%lu,\"odd\":%lu,\"spins\":[",
	       (unsigned long)(now_ns() - since), (unsigned long)acquisitions, (unsigned long)contended,
	       (unsigned long)odd);
	for (int bucket = 0; bucket < BUCKETS; bucket++)
		printf("%s%lu", bucket ? "," : "", (unsigned long)spins[bucket]);
	puts("]}");
	return 0;
}
