// Changes its memory map when it gets SIGUSR1, and is named "done" then. One thread has the kernel fill large areas,
// which keeps the lock of the map for reading; another one changes the protection of a page CHANGES times meanwhile.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "staged.h"

enum { PAGE = 4096, LARGE = 32 << 20, AREAS = 6 };

static char *areas[AREAS];
static char *page;
static long changes;
static atomic_int filled;

static char *area(size_t length) {
    char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        exit(1);
    return memory;
}

// The kernel takes the lock once more for a thread that ends, after its end was seen: this one does not end.
static void *fill(void *nothing) {
    for (int at = 0; at < AREAS; at++)
        if (madvise(areas[at], LARGE, MADV_NOHUGEPAGE) != 0 || madvise(areas[at], LARGE, MADV_POPULATE_WRITE) != 0)
            exit(1);
    atomic_store(&filled, 1);
    wait_for_signal();
    return nothing;
}

int main(int count, char **arguments) {
    if (count != 2)
        return 1;
    changes = atol(arguments[1]);
    for (int at = 0; at < AREAS; at++)
        areas[at] = area(LARGE);
    page = area(PAGE);
    may_begin();
    pthread_t filler;
    if (pthread_create(&filler, NULL, fill, NULL) != 0)
        return 1;
    for (long at = 0; at < changes; at++) {
        if (mprotect(page, PAGE, at % 2 ? PROT_READ | PROT_WRITE : PROT_READ) != 0)
            return 1;
        usleep(100);
    }
    while (!atomic_load(&filled))
        usleep(100);
    is_done();
    return 0;
}
