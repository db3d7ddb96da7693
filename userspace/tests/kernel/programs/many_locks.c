/* many_locks LOCKS HOT: after a line on standard input a wait on each of so many words that does not sleep, then, after another
 * line, so many on one more word. Prints "once" in between, then the address of the last. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int words[65536];

static void look(int *word)
{
    /* The word is not 1: EAGAIN. */
    if (syscall(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 1, 0, 0, 0) != -1 || errno != EAGAIN)
        _exit(1);
}

int main(int count, char **arguments)
{
    char line[16];
    if (count < 3 || !fgets(line, sizeof line, stdin))
        return 1;
    int locks = atoi(arguments[1]), hot = atoi(arguments[2]);
    for (int i = 0; i < locks; i++)
        look(&words[i]);
    puts("once");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    for (int i = 0; i < hot; i++) {
        look(&words[locks]);
        if (i % 1000 == 0)
            usleep(1000);
    }
    printf("%lu\n", (unsigned long)&words[locks]);
    return 0;
}
