/* Threads that are all born first and then end one after the other, so that some end whenever counters are read. Each runs
 * and sleeps a little before. Arguments: threads, microseconds between two ends. Begins at the first byte of its input. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int apart, threads;

static void *mortal(void *number)
{
    long left = (long)number * apart;
    for (; left > 20000; left -= 20000)
        usleep(20000);
    usleep(left);
    return number;
}

int main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    threads = atoi(arguments[1]);
    apart = atoi(arguments[2]);
    getchar();
    pthread_t *all = calloc(threads, sizeof *all);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (long i = 0; i < threads; i++)
        if (pthread_create(&all[i], &small, mortal, (void *)(i + 1)))
            return 1;
    for (int i = 0; i < threads; i++)
        pthread_join(all[i], 0);
    return 0;
}
