/* Knows what happened to its mutex, by what the mutex itself keeps.
 *
 * An adaptive mutex that was found taken changes its running mean: __spins += (count - __spins) / 8. Whoever holds the
 * lock sets the mean to a base far above every possible count, so each contended acquisition shows as a difference that
 * is never zero and tells its count up to a window of eight. Nobody else writes the field, and everybody holds the lock
 * while looking: the ledger is exact, and outside of the code under test.
 *
 * truth KIND THREADS BYTES PROCESSES, then commands on standard input; see serve(). With -DBARE it brings its own
 * start, so that it can be linked with the library of any release. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bare.h"

enum { MOST_PROCESSES = 4, MOST_THREADS = 16, WINDOWS = 4096, MOST_BYTES = 1 << 16 };
enum command { ROUND, HOLD, COND, QUIT };

struct ledger {
    int pid;
    atomic_ulong total;
    atomic_ulong windows[WINDOWS];
};

struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_barrier_t begin, end;
    enum command command;
    long times;
    short base;
    atomic_int flag;
    char bytes[MOST_BYTES];
    struct ledger ledgers[MOST_PROCESSES];
};

static struct shared *all;
static int adaptive, threads, bytes, processes, self;

/* With the lock just taken. */
static void note(void)
{
    struct ledger *mine = &all->ledgers[self];
    mine->total++;
    short difference = all->base - all->mutex.__data.__spins;
    if (adaptive && difference) {
        mine->windows[difference]++;
        all->mutex.__data.__spins = all->base;
    }
}

static void take(void)
{
    pthread_mutex_lock(&all->mutex);
    note();
}

static void give(void)
{
    pthread_mutex_unlock(&all->mutex);
}

static void several(void)
{
    for (long i = 0; i < all->times; i++) {
        take();
        for (int at = 0; at < bytes; at += 64)
            ((volatile char *)all->bytes)[at]++;
        /* Even on one processor the others shall find it taken. */
        if (i % 64 == 0)
            sched_yield();
        give();
    }
}

/* One takes it while the other holds it, and is let in only once it waits in the kernel. */
static void hold(int first)
{
    for (long i = 0; i < all->times; i++) {
        if (first) {
            take();
            all->flag = 1;
            while (*(volatile int *)&all->mutex.__data.__lock != 2)
                sched_yield();
            give();
            while (all->flag)
                sched_yield();
        } else {
            while (!all->flag)
                sched_yield();
            take();
            give();
            all->flag = 0;
        }
    }
}

/* A wait on a condition takes the mutex once more. */
static void wait_for_it(int first)
{
    for (long i = 0; i < all->times; i++) {
        if (first) {
            take();
            all->flag = 1;
            while (all->flag) {
                pthread_cond_wait(&all->cond, &all->mutex);
                note();
            }
            give();
        } else {
            while (!all->flag)
                sched_yield();
            take();
            all->flag = 0;
            pthread_cond_signal(&all->cond);
            give();
        }
    }
}

static void *work(void *number)
{
    int first = self == 0 && (long)number == 0;
    int second = self == processes - 1 && (long)number == threads - 1;
    for (;;) {
        pthread_barrier_wait(&all->begin);
        if (all->command == ROUND)
            several();
        else if (all->command == HOLD && first != second)
            hold(first);
        else if (all->command == COND && first != second)
            wait_for_it(first);
        else if (all->command == QUIT)
            return 0;
        pthread_barrier_wait(&all->end);
    }
}

static void tell(void)
{
    for (int process = 0; process < processes; process++) {
        struct ledger *ledger = &all->ledgers[process];
        printf("%d %lu", ledger->pid, ledger->total);
        for (int at = 0; at < WINDOWS; at++)
            if (ledger->windows[at])
                printf(" %d:%lu", at, ledger->windows[at]);
        printf("\n");
    }
    printf("done\n");
    fflush(stdout);
}

/* round TIMES BASE: every thread takes the lock so often. hold TIMES BASE, cond TIMES BASE: two threads do. */
static void serve(void)
{
    char line[80], word[8];
    int base;
    while (fgets(line, sizeof line, stdin) && sscanf(line, "%7s %ld %d", word, &all->times, &base) == 3) {
        all->command = word[0] == 'r' ? ROUND : word[0] == 'h' ? HOLD : COND;
        all->base = all->mutex.__data.__spins = (short)base;
        for (int process = 0; process < processes; process++) {
            struct ledger *ledger = &all->ledgers[process];
            ledger->total = 0;
            memset(ledger->windows, 0, sizeof ledger->windows);
        }
        pthread_barrier_wait(&all->begin);
        pthread_barrier_wait(&all->end);
        tell();
    }
    all->command = QUIT;
    pthread_barrier_wait(&all->begin);
}

static void prepare(void)
{
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, adaptive ? PTHREAD_MUTEX_ADAPTIVE_NP : PTHREAD_MUTEX_NORMAL);
    pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&all->mutex, &kind);
    pthread_condattr_t shared;
    pthread_condattr_init(&shared);
    pthread_condattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&all->cond, &shared);
    pthread_barrierattr_t both;
    pthread_barrierattr_init(&both);
    pthread_barrierattr_setpshared(&both, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&all->begin, &both, threads * processes + 1);
    pthread_barrier_init(&all->end, &both, threads * processes + 1);
}

int main(int count, char **arguments)
{
    if (count != 5)
        return 2;
    adaptive = arguments[1][0] == 'a';
    threads = atoi(arguments[2]);
    bytes = atoi(arguments[3]);
    processes = atoi(arguments[4]);
    if (threads < 1 || threads > MOST_THREADS || bytes > MOST_BYTES || processes < 1 || processes > MOST_PROCESSES)
        return 2;
    all = mmap(0, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        return 1;
    prepare();
    for (int process = 1; process < processes && self == 0; process++)
        if (fork() == 0) {
            self = process;
            prctl(PR_SET_PDEATHSIG, SIGKILL);
        }
    all->ledgers[self].pid = getpid();
    pthread_t each[MOST_THREADS];
    for (long number = 0; number < threads; number++)
        if (pthread_create(&each[number], 0, work, (void *)number))
            return 1;
    if (self == 0) {
        /* All are there once they have gone round. */
        all->command = ROUND;
        pthread_barrier_wait(&all->begin);
        pthread_barrier_wait(&all->end);
        tell();
        serve();
    }
    for (long number = 0; number < threads; number++)
        pthread_join(each[number], 0);
    while (self == 0 && wait(0) > 0)
        ;
    fflush(stdout);
    _exit(0);
}
