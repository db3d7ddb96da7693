/* Forks processes that count for themselves: see truth.c for how a mutex keeps a ledger.
 *
 * kin, then commands on standard input:
 *   fork COUNT TIMES   so many children, each with three threads that take a mutex TIMES and some times more, then end;
 *                      the parent takes it meanwhile
 *   aside COUNT TIMES  the same, forked by another thread than the first
 *   down COUNT TIMES   the same, forked by another thread than the first of a child that takes nothing itself
 *   stay 1 TIMES       one child that does that and lives on; further commands "stay" let the same one do it again
 * Answers are lines "PID TOTAL CONTENDED" since the last answer, the parent's first, then "done". */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 64, THREADS = 3, BASE = 4003 };

struct ledger {
    int pid;
    unsigned long total, contended;
};

static struct ledger *ledgers;
/* A child's is its own: it has a copy. */
static pthread_mutex_t mutex;
static struct ledger *mine;
static long times;

static void *work(void *unused)
{
    for (long i = 0; i < times; i++) {
        pthread_mutex_lock(&mutex);
        mine->total++;
        if (mutex.__data.__spins != BASE) {
            mine->contended++;
            mutex.__data.__spins = BASE;
        }
        if (i % 64 == 0)
            sched_yield();
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

static void fight(void)
{
    pthread_t each[THREADS];
    /* The thread that a process was born with is the first to count. */
    work(0);
    for (int number = 0; number < THREADS; number++)
        if (pthread_create(&each[number], 0, work, 0))
            _exit(1);
    for (int number = 0; number < THREADS; number++)
        pthread_join(each[number], 0);
}

static void be_child(int number)
{
    mine = &ledgers[number];
    mine->pid = getpid();
    times += number;
    fight();
}

static void *fork_all(void *count)
{
    for (int number = 1; number <= *(int *)count; number++)
        if (fork() == 0) {
            be_child(number);
            _exit(0);
        }
    return 0;
}

static void tell(int count)
{
    for (int at = 0; at <= count; at++) {
        printf("%d %lu %lu\n", ledgers[at].pid, ledgers[at].total, ledgers[at].contended);
        ledgers[at].total = ledgers[at].contended = 0;
    }
    printf("done\n");
    fflush(stdout);
}

int main(void)
{
    ledgers = mmap(0, (MOST + 1) * sizeof *ledgers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int orders[2], answers[2], staying = 0;
    if (ledgers == MAP_FAILED || pipe(orders) || pipe(answers))
        return 1;
    mine = &ledgers[0];
    mine->pid = getpid();
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&mutex, &kind);
    mutex.__data.__spins = BASE;
    tell(0);
    char line[80], word[8], byte = 0;
    int count;
    while (fgets(line, sizeof line, stdin) && sscanf(line, "%7s %d %ld", word, &count, &times) == 3 && count <= MOST) {
        if (word[0] == 'f' || word[0] == 'a' || word[0] == 'd') {
            pthread_t aside;
            if (word[0] == 'f')
                fork_all(&count);
            else if (word[0] == 'd' && fork() != 0)
                ;
            else if (pthread_create(&aside, 0, fork_all, &count) || pthread_join(aside, 0))
                return 1;
            else if (word[0] == 'd') {
                while (wait(0) > 0)
                    ;
                _exit(0);
            }
            fight();
            for (int ended = 0; ended < count; ended++)
                wait(0);
        } else {
            if (!staying++ && fork() == 0) {
                close(orders[1]);
                mine = &ledgers[1];
                mine->pid = getpid();
                while (read(orders[0], &times, sizeof times) == sizeof times) {
                    fight();
                    if (write(answers[1], &byte, 1) != 1)
                        _exit(1);
                }
                _exit(0);
            }
            if (write(orders[1], &times, sizeof times) != sizeof times || read(answers[0], &byte, 1) != 1)
                return 1;
        }
        tell(count);
    }
    return 0;
}
