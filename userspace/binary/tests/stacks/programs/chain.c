/* One thread waits in a, b, c for a mutex that the main thread holds. With -DLIBRARY, c lies in a library. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#ifdef LIBRARY
int c(int x);
#else
#include "wait.h"
__attribute__((noinline, noclone)) int c(int x) { return waits(x) + 1; }
#endif

/* The array differs in size, so that no two frames look alike. */
__attribute__((noinline, noclone)) int b(int x)
{
    volatile char room[40];
    memset((char *)room, x, sizeof room);
    return c(x + room[3]) + room[x & 31];
}

__attribute__((noinline, noclone)) int a(int x)
{
    volatile char room[136];
    memset((char *)room, x, sizeof room);
    return b(x + room[5]) + room[x & 63];
}

static void *thread_entry(void *argument)
{
    return (void *)(long)a((int)(long)argument);
}

int main(void)
{
    pthread_t thread;
    char go;
    pthread_mutex_lock(&lock);
    if (pthread_create(&thread, NULL, thread_entry, (void *)7L) != 0)
        return 1;
    puts("ready");
    fflush(stdout);
    while (read(0, &go, 1) > 0)
        ;
    return 0;
}
