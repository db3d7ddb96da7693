/* brood COUNT TIMES: forks so many children, each of which finds a mutex taken exactly so many times, and ends at once.
 * With no children it ends at once itself. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int round, done;
static int times;

static void *take(void *unused)
{
    for (int time = 1; time <= times; time++) {
        while (atomic_load(&round) < time)
            sched_yield();
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
        atomic_store(&done, time);
    }
    return unused;
}

static void fight(void)
{
    pthread_t taker;
    if (pthread_create(&taker, 0, take, 0))
        _exit(1);
    for (int time = 1; time <= times; time++) {
        pthread_mutex_lock(&mutex);
        atomic_store(&round, time);
        /* Whoever waits for it has written this into it. */
        while (*(volatile int *)&mutex.__data.__lock != 2)
            sched_yield();
        pthread_mutex_unlock(&mutex);
        while (atomic_load(&done) < time)
            sched_yield();
    }
    pthread_join(taker, 0);
}

int main(int argc, char **argv)
{
    int count = argc > 2 ? atoi(argv[1]) : 0;
    times = argc > 2 ? atoi(argv[2]) : 0;
    for (int child = 0; child < count; child++)
        if (fork() == 0) {
            fight();
            _exit(0);
        }
    while (wait(0) > 0)
        ;
    return 0;
}
