/* Whose time is known at any time: the first thread naps for a millisecond over and over, the second keeps a mutex for ten
 * over and over, and the third takes it. */
#define _GNU_SOURCE
#include <pthread.h>
#include <time.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void nap(long ms)
{
    struct timespec time = {0, ms * 1000000};
    nanosleep(&time, 0);
}

static void *keep(void *unused)
{
    for (;;) {
        pthread_mutex_lock(&mutex);
        nap(10);
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

static void *take(void *unused)
{
    for (;;) {
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

int main(void)
{
    pthread_t keeper, taker;
    if (pthread_create(&keeper, 0, keep, 0) || pthread_create(&taker, 0, take, 0))
        return 1;
    for (;;)
        nap(1);
}
