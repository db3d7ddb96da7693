/* Threads that fight for one adaptive mutex, and count how long their spins were. The loop is glibc's, stated anew with
 * counters of its own: its decisions, at full speed, in the memory of a pthread_mutex_t.
 *
 * spins linear|backoff THREADS HOLD THINK MILLISECONDS [--ready-fd N] [--go-fd N] [--json] */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rivals.h"
#include "told.h"

enum { ADAPTIVE = 3, LIMIT = 100, MOST_BACKOFF = 16, MOST_THREADS = 64 };

/* Others read it at any time. */
static volatile struct mutex {
	int word;
	int count;
	int owner;
	int users;
	int kind;
	short spins;
} __attribute__((aligned(128))) lock = { .kind = ADAPTIVE };

struct worker {
	pthread_t thread;
	uint64_t random, until_ns, contended, spun;
	int tid;
} __attribute__((aligned(128)));

static struct worker workers[MOST_THREADS];
static pthread_barrier_t begin;
static int backs_off, holds, thinks;

static int try_lock(void)
{
	int is_free = 0;
	return __atomic_compare_exchange_n(&lock.word, &is_free, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static int is_free(void)
{
	return __atomic_load_n(&lock.word, __ATOMIC_RELAXED) == 0;
}

/* Up to 2.35: one attempt after each pause. */
static int spin(int limit, int *count)
{
	for (*count = 0; (*count)++ < limit;) {
		__builtin_ia32_pause();
		if (is_free() && try_lock())
			return 1;
	}
	return 0;
}

/* Since: pauses that double, and some chance. */
static int back_off(int limit, int *count)
{
	int chance = (int)(__builtin_ia32_rdtsc() & 0xff), step = 1;
	for (*count = 0;;) {
		int pauses = step + (chance & (step - 1));
		*count += pauses;
		if (*count >= limit)
			return 0;
		while (pauses-- > 0)
			__builtin_ia32_pause();
		step = step < MOST_BACKOFF ? 2 * step : step;
		if (is_free() && try_lock())
			return 1;
	}
}

static void take(struct worker *self)
{
	if (!try_lock()) {
		int limit = lock.spins * 2 + 10, count;
		limit = limit < LIMIT ? limit : LIMIT;
		if (!(backs_off ? back_off : spin)(limit, &count) && !try_lock())
			while (__atomic_exchange_n(&lock.word, 2, __ATOMIC_ACQUIRE))
				syscall(SYS_futex, &lock.word, FUTEX_WAIT_PRIVATE, 2, NULL);
		lock.spins = (short)(lock.spins + (count - lock.spins) / 8);
		self->contended++;
		self->spun += (uint64_t)count;
	}
	lock.owner = self->tid;
	lock.users++;
}

static void let_go(void)
{
	lock.users--;
	lock.owner = 0;
	if (__atomic_exchange_n(&lock.word, 0, __ATOMIC_RELEASE) == 2)
		syscall(SYS_futex, &lock.word, FUTEX_WAKE_PRIVATE, 1);
}

static void *run(void *argument)
{
	struct worker *self = argument;
	self->tid = (int)syscall(SYS_gettid);
	settle((int)(self - workers));
	pthread_barrier_wait(&begin);
	for (uint64_t turn = 1; turn % 256 || now_ns() < self->until_ns; turn++) {
		take(self);
		work(draw(&self->random) % (2 * (uint32_t)holds));
		let_go();
		work(draw(&self->random) % (2 * (uint32_t)thinks));
	}
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc < 6)
		return 2;
	backs_off = !strcmp(argv[1], "backoff");
	int threads = atoi(argv[2]);
	holds = atoi(argv[3]);
	thinks = atoi(argv[4]);
	if (threads < 1 || threads > MOST_THREADS || holds < 1 || thinks < 1)
		return 2;
	if (!may_go(argc, argv))
		return 1;
	pthread_barrier_init(&begin, NULL, (unsigned)threads);
	uint64_t since = now_ns(), contended = 0, spun = 0;
	for (int at = 0; at < threads; at++) {
		workers[at].random = 88172645463325252ULL + 7919 * (uint64_t)at + since;
		workers[at].until_ns = since + strtoull(argv[5], NULL, 10) * 1000000;
		if (pthread_create(&workers[at].thread, NULL, run, &workers[at]))
			return 1;
	}
	for (int at = 0; at < threads; at++) {
		pthread_join(workers[at].thread, NULL);
		contended += workers[at].contended;
		spun += workers[at].spun;
	}
	printf("{\"address\":%lu,\"contended\":%lu,\"spun\":%lu}\n", (unsigned long)&lock, (unsigned long)contended,
	       (unsigned long)spun);
	return 0;
}
