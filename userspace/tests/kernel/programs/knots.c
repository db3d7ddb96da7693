// Threads that hold a lock each and wait for one of another: a graph of waits that the program knows. knots PROCESSES
// THREADS SEED: so many threads in each process. Prints a line for each thread, "TID OWNER" with the thread that has what
// it waits for, or 0, and then stays.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 1024 };

struct lock {
    int kind;
    atomic_int owner;
    pthread_mutex_t mutex;
    pthread_rwlock_t rwlock;
};

static struct {
    atomic_int ready, told;
    struct lock locks[MOST];
} *all;

static int threads, processes;
static uint64_t seed;

static uint64_t draw(uint64_t *state) {
    uint64_t mixed = *state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

static void make(struct lock *lock, int kind) {
    pthread_mutexattr_t of_mutex;
    pthread_rwlockattr_t of_rwlock;
    pthread_mutexattr_init(&of_mutex);
    pthread_rwlockattr_init(&of_rwlock);
    pthread_mutexattr_setpshared(&of_mutex, PTHREAD_PROCESS_SHARED);
    pthread_rwlockattr_setpshared(&of_rwlock, PTHREAD_PROCESS_SHARED);
    if (kind == 1)
        pthread_mutexattr_settype(&of_mutex, PTHREAD_MUTEX_ADAPTIVE_NP);
    if (kind == 2)
        pthread_mutexattr_setrobust(&of_mutex, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&lock->mutex, &of_mutex);
    pthread_rwlock_init(&lock->rwlock, &of_rwlock);
    lock->kind = kind;
}

static void take(struct lock *lock) {
    if (lock->kind == 3)
        pthread_rwlock_wrlock(&lock->rwlock);
    else
        pthread_mutex_lock(&lock->mutex);
}

static void *work(void *place) {
    int own = (intptr_t)place, count = threads * processes;
    uint64_t state = seed * MOST + own;
    take(&all->locks[own]);
    all->locks[own].owner = syscall(SYS_gettid);
    atomic_fetch_add(&all->ready, 1);
    while (atomic_load(&all->ready) < count)
        usleep(1000);
    // A third waits for nothing; none waits for what it has itself, which not every kind of lock does for good.
    int wanted = draw(&state) % 3 ? (int)(draw(&state) % count) : own;
    printf("%ld %d\n", syscall(SYS_gettid), wanted == own ? 0 : all->locks[wanted].owner);
    fflush(stdout);
    atomic_fetch_add(&all->told, 1);
    if (wanted != own)
        take(&all->locks[wanted]);
    for (;;)
        pause();
}

int main(int count, char **arguments) {
    if (count != 4)
        return 1;
    processes = atoi(arguments[1]);
    threads = atoi(arguments[2]);
    seed = strtoull(arguments[3], NULL, 10);
    if (processes * threads > MOST)
        return 1;
    all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t state = seed;
    for (int at = 0; at < processes * threads; at++)
        make(&all->locks[at], draw(&state) % 4);
    int process = 0;
    while (process + 1 < processes && fork() == 0)
        process++;
    pthread_t thread;
    for (int at = 0; at < threads; at++)
        if (pthread_create(&thread, NULL, work, (void *)(intptr_t)(process * threads + at)) != 0)
            return 1;
    for (;;)
        pause();
}
