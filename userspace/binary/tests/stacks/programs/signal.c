/* A signal handler that waits for a mutex, in the middle of a function that called nobody. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile int running;

__attribute__((noinline)) static void handler(int number)
{
    if (pthread_mutex_lock(&lock) == 0)
        running = number;
}

__attribute__((noinline, noclone)) int interrupted(int x)
{
    running = x;
    while (running == x)
        ;
    return running + 1;
}

static void *thread_entry(void *argument) { return (void *)(long)(interrupted((int)(long)argument) + 1); }

int main(void)
{
    pthread_t thread;
    char go;
    pthread_mutex_lock(&lock);
    signal(SIGUSR1, handler);
    if (pthread_create(&thread, NULL, thread_entry, (void *)7L) != 0)
        return 1;
    while (!running)
        usleep(1000);
    pthread_kill(thread, SIGUSR1);
    puts("ready");
    fflush(stdout);
    while (read(0, &go, 1) > 0)
        ;
    return 0;
}
