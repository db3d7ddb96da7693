/* turns: two threads beside the first, of which at each line on standard input one calls dup five times and ends. It says
 * "ready" when both are there, and "done" after each. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static int turn[2][2];

static void *take(void *ends)
{
    char byte;
    if (read(((int *)ends)[0], &byte, 1) != 1)
        return 0;
    for (int i = 0; i < 5; i++)
        dup(-1);
    return 0;
}

int main(int count, char **arguments)
{
    char line[16];
    pthread_t threads[2];
    (void)arguments;
    if (count > 1 || !fgets(line, sizeof line, stdin))
        return 1;
    for (int i = 0; i < 2; i++)
        if (pipe(turn[i]) || pthread_create(&threads[i], 0, take, turn[i]))
            return 1;
    puts("ready");
    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        if (!fgets(line, sizeof line, stdin) || write(turn[i][1], "g", 1) != 1)
            return 1;
        pthread_join(threads[i], 0);
        puts("done");
        fflush(stdout);
    }
    return 0;
}
