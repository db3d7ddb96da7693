/* The frame of c is found by its frame pointer: its size is known only when it runs. It tells where it is. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((noinline, noclone)) int c(int x)
{
    char room[x * 8];
    memset(room, x, sizeof room);
    printf("%p\n", __builtin_frame_address(0));
    fflush(stdout);
    return pthread_mutex_lock(&lock) + room[x];
}

__attribute__((noinline, noclone)) int b(int x) { return c(x + 1) + 1; }

__attribute__((noinline, noclone)) int a(int x) { return b(x + 1) + 1; }

static void *thread_entry(void *argument) { return (void *)(long)a((int)(long)argument); }

int main(void)
{
    pthread_t thread;
    char go;
    pthread_mutex_lock(&lock);
    if (pthread_create(&thread, NULL, thread_entry, (void *)7L) != 0)
        return 1;
    while (read(0, &go, 1) > 0)
        ;
    return 0;
}
