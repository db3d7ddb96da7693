/* Everything that may happen to a process while counters come and go: threads fight for an adaptive mutex, are born and
 * end, are cancelled in a wait, a signal handler takes a mutex of its own a thousand times per second of processor
 * time, children are forked. It counts what it did itself; how, truth.c tells.
 *
 * Commands on standard input: "run N" lets it go on until N more acquisitions of the adaptive mutex, then closes the gate
 * and tells the counts with nobody inside; "go" opens the gate; "quit" ends. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BASE = 4003, STEADY = 3 };

static pthread_mutex_t adaptive = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
static pthread_mutex_t normal = PTHREAD_MUTEX_INITIALIZER, bench = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t untouched = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static __thread pthread_mutex_t of_handler = PTHREAD_MUTEX_INITIALIZER;
static __thread volatile sig_atomic_t within;
static atomic_ulong adaptive_total, contended, normal_total, signals, births, forks, cancelled;
static atomic_int gate = 1, inside, waiting, over;

static void enter(void)
{
    for (;;) {
        while (gate && !over)
            usleep(200);
        inside++;
        if (!gate || over)
            break;
        inside--;
    }
    within = 1;
}

static void leave(void)
{
    within = 0;
    inside--;
}

static void fight(int times)
{
    for (int i = 0; i < times; i++) {
        pthread_mutex_lock(&adaptive);
        adaptive_total++;
        if (adaptive.__data.__spins != BASE) {
            contended++;
            adaptive.__data.__spins = BASE;
        }
        for (volatile int work = 0; work < 30; work++)
            ;
        pthread_mutex_unlock(&adaptive);
        pthread_mutex_lock(&normal);
        normal_total++;
        pthread_mutex_unlock(&normal);
    }
}

static void on_signal(int number)
{
    (void)number;
    if (!within)
        return;
    pthread_mutex_lock(&of_handler);
    normal_total++;
    signals++;
    pthread_mutex_unlock(&of_handler);
}

static void *steady(void *none)
{
    while (!over) {
        enter();
        fight(50);
        leave();
    }
    return none;
}

static void *mortal(void *none)
{
    fight(20);
    return none;
}

static void *mother(void *none)
{
    while (!over) {
        pthread_t child;
        enter();
        if (pthread_create(&child, 0, mortal, 0) == 0) {
            births++;
            pthread_join(child, 0);
        }
        leave();
    }
    return none;
}

static void *forker(void *none)
{
    while (!over) {
        enter();
        int child = fork();
        if (child == 0) {
            /* It counts for itself: nothing of this may show. */
            for (int i = 0; i < 100; i++) {
                pthread_mutex_lock(&untouched);
                pthread_mutex_unlock(&untouched);
            }
            _exit(0);
        }
        int status = 0;
        if (child > 0 && waitpid(child, &status, 0) == child && status == 0)
            forks++;
        leave();
    }
    return none;
}

static void taken_again(void *none)
{
    (void)none;
    normal_total++;
    pthread_mutex_unlock(&bench);
}

static void *waiter(void *none)
{
    pthread_mutex_lock(&bench);
    normal_total++;
    pthread_cleanup_push(taken_again, 0);
    waiting = 1;
    for (;;) {
        pthread_cond_wait(&never, &bench);
        normal_total++;
    }
    pthread_cleanup_pop(0);
    return none;
}

static void *canceller(void *none)
{
    while (!over) {
        pthread_t victim;
        enter();
        waiting = 0;
        if (pthread_create(&victim, 0, waiter, 0) == 0) {
            while (!waiting)
                usleep(50);
            pthread_cancel(victim);
            pthread_join(victim, 0);
            cancelled++;
        }
        leave();
    }
    return none;
}

static void tell(void)
{
    printf("%lu %lu %lu %lu %lu %lu %lu\n", adaptive_total, contended, normal_total, signals, births, forks, cancelled);
    fflush(stdout);
}

static void run(unsigned long more)
{
    unsigned long until = adaptive_total + more;
    gate = 0;
    while (adaptive_total < until)
        usleep(500);
    gate = 1;
    while (inside)
        usleep(100);
    tell();
}

int main(void)
{
    adaptive.__data.__spins = BASE;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGPROF, &action, 0);
    struct itimerval often = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_PROF, &often, 0);
    void *(*tasks[])(void *) = {mother, forker, canceller};
    pthread_t all[STEADY + 3];
    for (int i = 0; i < STEADY; i++)
        pthread_create(&all[i], 0, steady, 0);
    for (int i = 0; i < 3; i++)
        pthread_create(&all[STEADY + i], 0, tasks[i], 0);
    char line[80];
    unsigned long more;
    tell();
    while (fgets(line, sizeof line, stdin) && line[0] != 'q') {
        if (sscanf(line, "run %lu", &more) == 1)
            run(more);
        else
            gate = 0;
    }
    over = 1;
    for (int i = 0; i < STEADY + 3; i++)
        pthread_join(all[i], 0);
    return 0;
}
