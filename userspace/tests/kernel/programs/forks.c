/* forks HOW COUNT: after a line on standard input, so many children one after the other, by fork or vfork. Each calls dup three
 * times, of which each fails, and ends. At the end it prints how many children there were. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void child(void)
{
    for (int i = 0; i < 3; i++)
        dup(-1);
    _exit(0);
}

int main(int count, char **arguments)
{
    char line[16];
    if (count < 3 || !fgets(line, sizeof line, stdin))
        return 1;
    int by_vfork = strcmp(arguments[1], "vfork") == 0, made = 0;
    for (int i = atoi(arguments[2]); i > 0; i--) {
        int pid = by_vfork ? vfork() : fork();
        if (pid == 0)
            child();
        if (pid > 0 && waitpid(pid, 0, 0) == pid)
            made++;
    }
    printf("%d\n", made);
    return 0;
}
