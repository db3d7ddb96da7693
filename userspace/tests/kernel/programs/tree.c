/* tree STAYERS FORKS: a process with two children that fork all the time, until so many processes have been forked after a "go"
 * on standard input. Most of what they fork ends at once; every second one is forked by a process that ends right then, and
 * goes to the first as its new parent. The latest STAYERS of either child live on: when the go comes, each calls dup a few
 * times, as all do that are forked later. At the end it prints how many calls of dup there were, and how many forks.
 *
 * tree orphan: a child of a child that calls dup after "go"; the child in between ends at a line on standard input before that.
 * It prints the id of the child in between, then, at the end, how often dup was called. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SPAWNERS = 2, MOST = 64, DUPS = 7 };

static struct {
    atomic_int go, end, generation[SPAWNERS][MOST];
    atomic_ulong dups, forks, after;
} *shared;

static void call(void)
{
    for (int i = 0; i < DUPS; i++) {
        dup(-1);
        shared->dups++;
    }
}

static void stay(atomic_int *generation)
{
    int mine = *generation;
    while (!shared->go && *generation == mine)
        usleep(500);
    if (shared->go)
        call();
    _exit(0);
}

static void spawn(int number, int stayers, unsigned long enough)
{
    for (unsigned long forked = 0; shared->after < enough; forked++) {
        int at = forked / 4 % stayers;
        atomic_int *generation = &shared->generation[number][at];
        if (forked % 4 == 0)
            ++*generation;
        if (fork() == 0) {
            if (forked % 2 && fork())
                _exit(0);
            if (forked % 4 < 2)
                stay(generation);
            if (shared->go)
                call();
            _exit(0);
        }
        shared->forks++;
        if (shared->go) {
            shared->after++;
            call();
        }
        usleep(500);
    }
    _exit(0);
}

static int orphan(void)
{
    char line[16];
    int child = fork();
    if (child == 0) {
        /* Should the first end early, these do not stay for good. */
        alarm(120);
        if (fork() == 0) {
            alarm(120);
            while (!shared->go)
                usleep(500);
            call();
            shared->end = 1;
            _exit(0);
        }
        while (!shared->forks)
            usleep(500);
        _exit(0);
    }
    printf("%d\n", child);
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    shared->forks = 1;
    waitpid(child, 0, 0);
    printf("ended\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    shared->go = 1;
    while (!shared->end)
        usleep(500);
    printf("%lu\n", shared->dups);
    return 0;
}

int main(int count, char **arguments)
{
    char line[16];
    shared = mmap(0, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || count < 2)
        return 1;
    if (strcmp(arguments[1], "orphan") == 0)
        return orphan();
    if (count < 3)
        return 1;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    /* Its children are buried by the kernel, and those of its children, too. */
    signal(SIGCHLD, SIG_IGN);
    for (int number = 0; number < SPAWNERS; number++)
        if (fork() == 0)
            spawn(number, atoi(arguments[1]), atol(arguments[2]));
    printf("ready\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    shared->go = 1;
    while (wait(0) > 0)
        ;
    printf("%lu %lu\n", shared->dups, shared->forks);
    return 0;
}
