// Makes a known number of page faults of each kind when it gets SIGUSR1, and is named "done" then.
// faults PAGES THREADS FILE: each thread reads, writes again, and writes PAGES pages of its own, has the kernel write
// PAGES more in calls; the first maps FILE of PAGES pages, whose pages are not in memory. With THREADS 0 it forks a
// child that writes to what they share.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "staged.h"

enum { PAGE = 4096 };

static size_t pages;
static int zeros;

static volatile char *area(size_t count) {
    char *memory = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || madvise(memory, count * PAGE, MADV_NOHUGEPAGE) != 0)
        exit(1);
    return memory;
}

__attribute__((noinline)) static void read_pages(volatile char *memory) {
    for (size_t at = 0; at < pages; at++)
        (void)memory[at * PAGE];
}

__attribute__((noinline)) static void write_pages(volatile char *memory) {
    for (size_t at = 0; at < pages; at++)
        memory[at * PAGE] = 1;
}

static void *work(void *nothing) {
    volatile char *shared_zeros = area(pages), *fresh = area(pages), *filled = area(pages);
    read_pages(shared_zeros);
    write_pages(shared_zeros);
    write_pages(fresh);
    for (size_t at = 0; at < pages; at++)
        if (read(zeros, (char *)filled + at * PAGE, 8) != 8)
            exit(1);
    return nothing;
}

static void from_storage(const char *path) {
    int file = open(path, O_RDONLY);
    char *memory = mmap(NULL, pages * PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    if (memory == MAP_FAILED || madvise(memory, pages * PAGE, MADV_RANDOM) != 0)
        exit(1);
    if (posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) != 0)
        exit(1);
    read_pages(memory);
}

static void in_child(void) {
    volatile char *memory = area(pages);
    write_pages(memory);
    pid_t child = fork();
    if (child == 0) {
        write_pages(memory);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

int main(int count, char **arguments) {
    if (count != 4)
        return 1;
    pages = strtoul(arguments[1], NULL, 10);
    int threads = atoi(arguments[2]);
    zeros = open("/dev/zero", O_RDONLY);
    may_begin();
    pthread_t others[16];
    for (int at = 1; at < threads; at++)
        pthread_create(&others[at], NULL, work, NULL);
    if (threads > 0) {
        work(NULL);
        from_storage(arguments[3]);
    } else {
        in_child();
    }
    for (int at = 1; at < threads; at++)
        pthread_join(others[at], NULL);
    is_done();
    return 0;
}
