/* Programs that a clumsy tracer hurts: each knows what must not happen to it, and says whether it did.
   Lines on standard input drive it; the answer to "ask" is what the mode counts. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile uint64_t acquired;

static void die(const char *what) { perror(what); exit(1); }

static void acquire(void) {
    pthread_mutex_lock(&mutex);
    acquired = acquired + 1;
    pthread_mutex_unlock(&mutex);
}

static void *acquires(void *unused) {
    for (;;) {
        acquire();
        usleep(200);
    }
    return unused;
}

static pthread_t begin(void *(*body)(void *)) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, NULL)) die("pthread_create");
    return thread;
}

/* A thread that is always inside of a restartable sequence. As its last step the sequence notes which one the kernel takes
   it to be in: where that is none, the thread was made to run elsewhere, and put back into the middle. */
static volatile uint64_t sequences, torn, aborted;

static int sequence(uint64_t *current) {
    struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    asm volatile goto(
        ".pushsection __rseq_cs, \"aw\"\n.balign 32\n"
        "3:\n.long 0, 0\n.quad 1f, 2f - 1f, 4f\n.popsection\n"
        "leaq 3b(%%rip), %%rax\n"
        "movq %%rax, %[in_kernel]\n"
        "1:\n"
        "movl $3000, %%ecx\n"
        "5:\npause\ndecl %%ecx\njnz 5b\n"
        "movq %[in_kernel], %%rax\n"
        "movq %%rax, (%[current])\n"
        "2:\n"
        ".pushsection __rseq_failure, \"ax\"\n"
        ".byte 0x0f, 0xb9, 0x3d\n.long 0x53053053\n"
        "4:\njmp %l[abort]\n.popsection\n"
        : : [in_kernel] "m"(area->rseq_cs), [current] "r"(current)
        : "memory", "cc", "rax", "rcx" : abort);
    return 1;
abort:
    return 0;
}

static void answer(void);

static void sequential(void) {
    uint64_t current;
    char line[64];
    fcntl(0, F_SETFL, O_NONBLOCK);
    for (;;) {
        if (sequence(&current)) {
            sequences = sequences + 1;
            if (!current) torn = torn + 1;
        } else {
            aborted = aborted + 1;
        }
        ssize_t got = sequences % 64 ? -1 : read(0, line, sizeof line);
        if (got == 0) return;
        if (got > 0) answer();
    }
}

/* Waits that the kernel does not begin anew after a stop. */
static volatile uint64_t endless_cut, limited_cut;

static void *polls(void *unused) {
    int set = epoll_create1(0);
    struct epoll_event event;
    for (;;)
        if (epoll_wait(set, &event, 1, -1) < 0 && errno == EINTR) __sync_fetch_and_add(&endless_cut, 1);
    return unused;
}

static void *awaits_signal(void *unused) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    for (;;)
        if (sigwaitinfo(&set, NULL) < 0 && errno == EINTR) __sync_fetch_and_add(&endless_cut, 1);
    return unused;
}

static int semaphore;

static void *awaits_semaphore(void *unused) {
    struct sembuf down = {0, -1, 0};
    for (;;) {
        if (semop(semaphore, &down, 1) == 0) continue;
        if (errno != EINTR) return unused;
        __sync_fetch_and_add(&endless_cut, 1);
    }
}

static void *polls_for_a_minute(void *unused) {
    int set = epoll_create1(0);
    struct epoll_event event;
    for (;;)
        if (epoll_wait(set, &event, 1, 60000) < 0 && errno == EINTR) __sync_fetch_and_add(&limited_cut, 1);
    return unused;
}

/* A thread that never leaves the stack of a fibre. */
static ucontext_t outside, fibre;

static void spins(void) {
    for (;;) acquire();
}

static void on_fibre(void) {
    static char stack[1 << 16];
    getcontext(&fibre);
    fibre.uc_stack.ss_sp = stack;
    fibre.uc_stack.ss_size = sizeof stack;
    fibre.uc_link = &outside;
    makecontext(&fibre, spins, 0);
    swapcontext(&outside, &fibre);
}

/* Leaves no room below the C library within reach of a jump. */
static void wall_in(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4096];
    unsigned long start, end, library = 0, starts[512], ends[512];
    int count = 0;
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx", &start, &end) != 2 || count == 512) continue;
        starts[count] = start, ends[count++] = end;
        if (strstr(line, "libc.so") && !library) library = start;
    }
    fclose(maps);
    unsigned long from = library - (4UL << 30);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    for (int at = 0; at < count && starts[at] <= library; at++) {
        if (starts[at] > from && mmap((void *)from, starts[at] - from, PROT_NONE, flags, -1, 0) == MAP_FAILED)
            die("mmap");
        if (ends[at] > from) from = ends[at];
    }
}

/* One thread, which waits without a limit, and counts signals that come in between. */
static void counts(int number) {
    (void)number;
    acquired = acquired + 1;
}

static void signalled(void) {
    struct sigaction action = {.sa_handler = counts};
    struct epoll_event event = {.events = EPOLLIN};
    int set = epoll_create1(0);
    char line[64];
    sigaction(SIGRTMIN, &action, NULL);
    if (epoll_ctl(set, EPOLL_CTL_ADD, 0, &event)) die("epoll_ctl");
    puts("ready");
    for (;;) {
        if (epoll_wait(set, &event, 1, -1) < 0) continue;
        if (read(0, line, sizeof line) <= 0) return;
        answer();
    }
}

static int lives_on(void *unused) {
    for (;;) pause();
    return unused != NULL;
}

static void limit(int what, rlim_t value) {
    struct rlimit both = {value, value};
    if (setrlimit(what, &both)) die("setrlimit");
}

static rlim_t used_memory(void) {
    unsigned long pages;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%lu", &pages) != 1) die("statm");
    fclose(file);
    return (rlim_t)pages * 4096;
}

static void answer(void) {
    printf("%lu %lu %lu %lu %lu %lu\n", acquired, sequences, torn, aborted, endless_cut, limited_cut);
}

int main(int count, char **words) {
    pid_t sharer = 0;
    const char *mode = count > 1 ? words[1] : "";
    setvbuf(stdout, NULL, _IONBF, 0);
    if (!strcmp(mode, "signals")) {
        signalled();
        return 0;
    }
    if (!strcmp(mode, "waits")) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        semaphore = semget(IPC_PRIVATE, 1, 0600);
        begin(polls), begin(awaits_signal), begin(awaits_semaphore), begin(polls_for_a_minute);
    }
    if (!strcmp(mode, "walled")) wall_in();
    if (!strcmp(mode, "locked") && mlockall(MCL_CURRENT | MCL_FUTURE)) die("mlockall");
    if (!strcmp(mode, "shared")) {
        char *stack = malloc(1 << 16);
        sharer = clone(lives_on, stack + (1 << 16), CLONE_VM | SIGCHLD, NULL);
        if (sharer < 0) die("clone");
    }
    if (strcmp(mode, "fibre") && strcmp(mode, "sequence")) begin(acquires);
    if (!strcmp(mode, "file-size")) limit(RLIMIT_FSIZE, 1000 << 10);
    if (!strcmp(mode, "no-file-size")) limit(RLIMIT_FSIZE, 0);
    if (!strcmp(mode, "address-space")) limit(RLIMIT_AS, used_memory() + (1 << 20));
    if (!strcmp(mode, "open-files")) limit(RLIMIT_NOFILE, 3);
    puts("ready");
    if (!strcmp(mode, "fibre")) on_fibre();
    if (!strcmp(mode, "sequence")) sequential();
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        if (!strcmp(line, "ask\n")) answer();
    }
    if (semaphore) semctl(semaphore, 0, IPC_RMID);
    if (sharer) kill(sharer, SIGKILL);
    return 0;
}
