/* Several mutexes, each with its own contention, each with its own ledger: see truth.c for how a mutex keeps one.
 *
 * locks KIND THREADS LOCKS, then commands on standard input:
 *   round TIMES BASE   every thread takes mutexes so often: the first half of the time the first one, then each further
 *                      one half as often as the one before
 *   many COUNT         the first thread takes so many mutexes that nobody has taken before, once each
 * Answers are lines "ADDRESS TOTAL WINDOW:COUNT...", then "done". With -DBARE it brings its own start. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bare.h"

enum { MOST_LOCKS = 16, MOST_THREADS = 16, WINDOWS = 4096, FRESH = 20000 };

struct guarded {
    pthread_mutex_t mutex;
    unsigned long total, windows[WINDOWS];
} __attribute__((aligned(64)));

static struct guarded all[MOST_LOCKS];
static pthread_mutex_t fresh[FRESH];
static pthread_barrier_t begin_round, end_round;
static int adaptive, threads, locks, over, next_fresh;
static long times;
static short base;

static void take(struct guarded *lock)
{
    pthread_mutex_lock(&lock->mutex);
    lock->total++;
    short difference = base - lock->mutex.__data.__spins;
    if (adaptive && difference) {
        lock->windows[difference]++;
        lock->mutex.__data.__spins = base;
    }
}

static void *work(void *unused)
{
    for (;;) {
        pthread_barrier_wait(&begin_round);
        if (over)
            return unused;
        for (long i = 0; i < times; i++) {
            int which = __builtin_ctzl(i + 1);
            struct guarded *lock = &all[which < locks ? which : locks - 1];
            take(lock);
            /* Even on one processor the others shall find it taken. */
            if (i % 64 == 0)
                sched_yield();
            pthread_mutex_unlock(&lock->mutex);
        }
        pthread_barrier_wait(&end_round);
    }
}

static void make(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, adaptive ? PTHREAD_MUTEX_ADAPTIVE_NP : PTHREAD_MUTEX_NORMAL);
    pthread_mutex_init(mutex, &kind);
}

static void round_of_all(void)
{
    for (int at = 0; at < locks; at++) {
        all[at].mutex.__data.__spins = base;
        all[at].total = 0;
        memset(all[at].windows, 0, sizeof all[at].windows);
    }
    pthread_barrier_wait(&begin_round);
    pthread_barrier_wait(&end_round);
    for (int at = 0; at < locks; at++) {
        printf("%lu %lu", (unsigned long)&all[at].mutex, all[at].total);
        for (int window = 0; window < WINDOWS; window++)
            if (all[at].windows[window])
                printf(" %d:%lu", window, all[at].windows[window]);
        printf("\n");
    }
}

static void many(long count)
{
    for (; count > 0 && next_fresh < FRESH; count--) {
        pthread_mutex_t *mutex = &fresh[next_fresh++];
        pthread_mutex_lock(mutex);
        pthread_mutex_unlock(mutex);
    }
}

int main(int count, char **arguments)
{
    if (count != 4)
        return 2;
    adaptive = arguments[1][0] == 'a';
    threads = atoi(arguments[2]);
    locks = atoi(arguments[3]);
    if (threads < 1 || threads > MOST_THREADS || locks < 1 || locks > MOST_LOCKS)
        return 2;
    for (int at = 0; at < locks; at++)
        make(&all[at].mutex);
    for (int at = 0; at < FRESH; at++)
        make(&fresh[at]);
    pthread_barrier_init(&begin_round, 0, threads + 1);
    pthread_barrier_init(&end_round, 0, threads + 1);
    pthread_t each[MOST_THREADS];
    for (int number = 0; number < threads; number++)
        if (pthread_create(&each[number], 0, work, 0))
            return 1;
    round_of_all();
    printf("done\n");
    fflush(stdout);
    char line[80], word[8];
    int number;
    while (fgets(line, sizeof line, stdin) && sscanf(line, "%7s %ld %d", word, &times, &number) >= 2) {
        base = (short)number;
        if (word[0] == 'r')
            round_of_all();
        else
            many(times);
        printf("done\n");
        fflush(stdout);
    }
    over = 1;
    pthread_barrier_wait(&begin_round);
    for (int number = 0; number < threads; number++)
        pthread_join(each[number], 0);
    return 0;
}
