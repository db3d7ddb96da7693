/* crowd PROCESSES THREADS: so many processes with so many threads each, all of which sleep until a line on standard input; then
 * each calls dup three times, of which each fails, and sleeps again until a second line. It prints "ready", then how many threads
 * have called dup. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    atomic_long waiting, done;
} *shared;
static int start[2], end[2];

static void *take_part(void *none)
{
    char byte;
    shared->waiting++;
    while (read(start[0], &byte, 1) != 0)
        ;
    for (int i = 0; i < 3; i++)
        dup(-1);
    shared->done++;
    while (read(end[0], &byte, 1) != 0)
        ;
    return none;
}

static void process(int threads)
{
    pthread_attr_t small;
    close(start[1]);
    close(end[1]);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (int i = 1; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &small, take_part, 0))
            exit(1);
    }
    take_part(0);
    _exit(0);
}

int main(int count, char **arguments)
{
    char line[16];
    shared = mmap(0, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || count < 3 || pipe(start) || pipe(end))
        return 1;
    long processes = atol(arguments[1]), threads = atol(arguments[2]);
    for (long i = 0; i < processes; i++) {
        int pid = fork();
        if (pid < 0)
            return 1;
        if (pid == 0)
            process(threads);
    }
    while (shared->waiting < processes * threads)
        usleep(1000);
    printf("ready\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    close(start[1]);
    while (shared->done < processes * threads)
        usleep(1000);
    printf("%ld\n", shared->done);
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    close(end[1]);
    while (wait(0) > 0)
        ;
    return 0;
}
