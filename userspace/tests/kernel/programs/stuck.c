// Programs that stand still, by name, each in a way that is easily taken for another one. Prints a line once it is about to.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER, other = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t both;
static int is_timed, is_true;

static void take(pthread_mutex_t *mutex) {
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 1000;
    if (is_timed)
        pthread_mutex_timedlock(mutex, &end);
    else
        pthread_mutex_lock(mutex);
}

static void *ring(void *nothing) {
    pthread_mutex_lock(&other);
    pthread_barrier_wait(&both);
    take(&one);
    return nothing;
}

static void *until_true(void *nothing) {
    pthread_mutex_lock(&one);
    while (!is_true)
        pthread_cond_wait(&condition, &one);
    pthread_mutex_unlock(&one);
    return nothing;
}

static void tell(void) {
    puts("begun");
    fflush(stdout);
}

static void stay(void) {
    for (;;)
        pause();
}

static void on_signal(int signal) {
    (void)signal;
}

int main(int count, char **arguments) {
    const char *way = count == 2 ? arguments[1] : "";
    pthread_t thread;
    pthread_barrier_init(&both, NULL, 2);
    if (strcmp(way, "back from a condition") != 0)
        tell();
    if (strcmp(way, "ring") == 0 || strcmp(way, "timed ring") == 0) {
        is_timed = way[0] == 't';
        pthread_mutex_lock(&one);
        pthread_create(&thread, NULL, ring, NULL);
        pthread_barrier_wait(&both);
        take(&other);
    } else if (strcmp(way, "back from a condition") == 0) {
        for (int at = 0; at < 3; at++)
            pthread_create(&thread, NULL, until_true, NULL);
        usleep(200000);
        pthread_mutex_lock(&one);
        is_true = 1;
        pthread_cond_broadcast(&condition);
        tell();
        stay();
    } else if (strcmp(way, "condition") == 0) {
        for (int at = 0; at < 3; at++)
            pthread_create(&thread, NULL, until_true, NULL);
        stay();
    } else if (strcmp(way, "own pipe") == 0) {
        // A handler could write.
        int ends[2];
        char byte;
        signal(SIGUSR1, on_signal);
        return pipe(ends) != 0 || read(ends[0], &byte, 1) != 1;
    } else if (strcmp(way, "inherited locked") == 0) {
        // The child's copy is locked by a thread that the child does not have.
        pthread_mutex_lock(&one);
        if (fork() == 0)
            pthread_mutex_lock(&one);
        pthread_mutex_unlock(&one);
        stay();
    }
    return 1;
}
