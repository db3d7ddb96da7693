/* Says "ready", waits for a byte, makes the calls on futexes that came after futex(2) in every way in which they can end, says that
 * it is done, waits for another byte, and says at its end as JSON what came of each, as the kernel has it: by address, operation and sharing (0 is success, 512 an
 * interruption). With "sleep" it sleeps in one of them for good. Arguments: --ready-fd N --go-fd N; with one argument
 * it only says by its status whether this kernel has the calls. It makes no call of futex(2) itself. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "told.h"

enum { WAITV = 449, WAKE2 = 454, WAIT2 = 455, REQUEUE2 = 456 };
enum { U32 = 2, PRIVATE = 128, INTERRUPTED = 512, MANY = 128, MOST = 4096 };

struct waiter {
  uint64_t value, address;
  uint32_t flags, reserved;
};
struct ended {
  int call, shared;
  uintptr_t address;
  long result;
};

static struct ended all[MOST];
static atomic_int ends;
static _Atomic uint32_t words[MANY];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int sleeper, handled; /* The thread that is to be met in a call; signals that it has got. */
static _Atomic uint32_t *shared;

/* Notes a call: on which futex it has to be seen, and what came of it. */
static long note(int call, const void *address, int shared, long result) {
  all[ends++] = (struct ended){call, shared, (uintptr_t)address, result};
  return result;
}

static long outcome(long result) { return result < 0 ? -errno : result; }

static struct timespec *in(long milliseconds) {
  static _Thread_local struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += milliseconds * 1000000;
  until.tv_sec += until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  return &until;
}

static long wait2(const void *word, unsigned long value, int flags, struct timespec *until) {
  long result = outcome(syscall(WAIT2, word, value, ~0u, U32 | flags, until, CLOCK_MONOTONIC));
  return note(WAIT2, word, !flags, result == -EINTR ? -INTERRUPTED : result);
}

static long wake2(const void *word, int flags) {
  return note(WAKE2, word, !flags, outcome(syscall(WAKE2, word, ~0u, 1, U32 | flags)));
}

/* Seen on the one that was woken, or on the first. */
static __attribute__((noinline)) long waitv(const struct waiter *waiters, unsigned count, unsigned flags, struct timespec *until) {
  long result = outcome(syscall(WAITV, waiters, count, flags, until, CLOCK_MONOTONIC));
  const struct waiter *about = &waiters[result > 0 ? result : 0];
  return note(WAITV, (void *)about->address, !(about->flags & PRIVATE), result == -EINTR ? -INTERRUPTED : result);
}

static struct waiter on(const void *word, uint32_t value, int flags) {
  return (struct waiter){value, (uintptr_t)word, U32 | flags, 0};
}

/* The same until there was somebody. */
static int awake(const void *word, int flags) {
  long result;
  while (!(result = wake2(word, flags))) usleep(500);
  return result == 1;
}

static long requeue2(const void *from, uint32_t value, const void *to, unsigned flags) {
  struct waiter both[2] = {on(from, value, PRIVATE), on(to, 0, PRIVATE)};
  return note(REQUEUE2, from, 0, outcome(syscall(REQUEUE2, both, flags, 0, 1)));
}

/* Whether a thread sleeps in a call. */
static int sleeps_in(int thread, int call) {
  char path[64], text[64] = "";
  snprintf(path, sizeof path, "/proc/%d/syscall", thread);
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  int found = fgets(text, sizeof text, file) && atoi(text) == call;
  fclose(file);
  return found;
}

static void until_asleep(int call) {
  while (!sleeper || !sleeps_in(sleeper, call)) usleep(500);
}

static void pass(int signal) {
  (void)signal;
  handled++;
}

/* What a thread does that is to be woken: one call, on these words. */
struct sleep {
  int call, count, flags;
  const void *words[MANY];
  long result;
};

static void *fall_asleep(void *given) {
  struct sleep *sleep = given;
  sleeper = gettid();
  if (sleep->call == WAIT2) {
    sleep->result = wait2(sleep->words[0], 0, sleep->flags, 0);
  } else {
    struct waiter waiters[MANY];
    for (int i = 0; i < sleep->count; i++) waiters[i] = on(sleep->words[i], 0, sleep->flags);
    sleep->result = waitv(waiters, sleep->count, 0, 0);
  }
  return 0;
}

static void start(pthread_t *thread, struct sleep *sleep) {
  sleeper = 0;
  pthread_create(thread, 0, fall_asleep, sleep);
  until_asleep(sleep->call);
}

/* Without pthread_join, which may be a call of futex(2). */
static void joined(pthread_t thread) {
  while (pthread_tryjoin_np(thread, 0)) usleep(500);
}

/* One of so many wakes it. */
static int woken(int count, int at) {
  struct sleep sleep = {.call = WAITV, .count = count, .flags = PRIVATE};
  pthread_t thread;
  for (int i = 0; i < count; i++) sleep.words[i] = &words[i];
  start(&thread, &sleep);
  if (!awake(&words[at], PRIVATE)) return 1;
  joined(thread);
  return sleep.result != at;
}

/* Interrupted, and either told so or started again by the kernel: it sees two calls then. */
static int interrupted(int flags) {
  struct sigaction action = {.sa_handler = pass, .sa_flags = flags};
  struct sleep sleep = {.call = WAITV, .count = 2, .flags = PRIVATE, .words = {&words[3], &words[4]}};
  pthread_t thread;
  sigaction(SIGUSR1, &action, 0);
  start(&thread, &sleep);
  handled = 0;
  pthread_kill(thread, SIGUSR1);
  while (!handled) usleep(500);
  if (flags & SA_RESTART) {
    note(WAITV, &words[3], 0, -INTERRUPTED);
    until_asleep(WAITV);
    if (!awake(&words[4], PRIVATE)) return 1;
  }
  joined(thread);
  return sleep.result != (flags & SA_RESTART ? 1 : -INTERRUPTED);
}

static int failures(void) {
  struct waiter two[2] = {on(&words[0], 0, PRIVATE), on(&words[1], 0, PRIVATE)};
  struct waiter differ[2] = {on(&words[2], 0, PRIVATE), on(&words[1], 7, PRIVATE)};
  struct waiter *none = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct waiter nowhere = on(none, 0, PRIVATE);
  struct waiter large[MANY + 1] = {on(&words[0], 0, PRIVATE)};
  for (int i = 0; i < 5; i++)
    if (wait2(&words[0], 7, PRIVATE, 0) != -EAGAIN) return 1;
  for (int i = 0; i < 3; i++)
    if (wait2(&words[0], 0, PRIVATE, in(2)) != -ETIMEDOUT || waitv(two, 2, 0, in(2)) != -ETIMEDOUT) return 1;
  for (int i = 0; i < 7; i++)
    if (wake2(&words[5], PRIVATE)) return 1;
  for (int i = 0; i < 6; i++)
    if (waitv(differ, 2, 0, 0) != -EAGAIN) return 1;
  if (waitv(two, 2, 1, 0) != -EINVAL || waitv(&nowhere, 1, 0, 0) != -EFAULT || waitv(large, MANY + 1, 0, 0) != -EINVAL) return 1;
  /* Nothing can be read, or is to be: such a call is about the array itself, and nobody else's. */
  if (note(WAITV, none, 0, outcome(syscall(WAITV, none, 2, 0, 0, 0))) != -EFAULT) return 1;
  if (note(WAITV, two, 0, outcome(syscall(WAITV, two, 0, 0, 0, 0))) != -EINVAL) return 1;
  if (note(REQUEUE2, none, 0, outcome(syscall(REQUEUE2, none, 0, 0, 1))) != -EFAULT) return 1;
  if (requeue2(&words[6], 0, &words[7], 1) != -EINVAL || requeue2(&words[6], 9, &words[7], 0) != -EAGAIN) return 1;
  return requeue2(&words[6], 0, &words[7], 0) != 0;
}

/* Memory that the kernel fetches as the call reads it. */
static int fetched(void) {
  struct waiter two[2] = {on(&words[5], 3, PRIVATE), on(&words[6], 0, PRIVATE)};
  FILE *file = tmpfile();
  if (!file || fwrite(two, sizeof two, 1, file) != 1 || fflush(file)) return 1;
  struct waiter *mapped = mmap(0, 4096, PROT_READ, MAP_PRIVATE, fileno(file), 0);
  if (mapped == MAP_FAILED) return 1;
  long result = outcome(syscall(WAITV, mapped, 2, 0, 0, 0));
  return note(WAITV, &words[5], 0, result) != -EAGAIN;
}

static int moved(void) {
  struct sleep sleep = {.call = WAIT2, .flags = PRIVATE, .words = {&words[6]}};
  pthread_t thread;
  start(&thread, &sleep);
  while (!requeue2(&words[6], 0, &words[7], 0)) usleep(500);
  if (wake2(&words[6], PRIVATE) || wake2(&words[7], PRIVATE) != 1) return 1;
  joined(thread);
  return sleep.result != 0;
}

/* A mutex of the C library that the first thread has; as if another one had been waiting for it. */
static int held(void) {
  pthread_mutex_lock(&mutex);
  mutex.__data.__lock = 2;
  for (int i = 0; i < 4; i++)
    if (wait2(&mutex, 2, PRIVATE, in(1)) != -ETIMEDOUT) return 1;
  mutex.__data.__lock = 1;
  return pthread_mutex_unlock(&mutex);
}

static void say(const char *before) {
  for (int i = 0; i < ends; i++, before = ", ")
    printf("%s{\"pid\": %d, \"call\": %d, \"shared\": %d, \"address\": %lu, \"result\": %ld}", before, getpid(), all[i].call,
           all[i].shared, (unsigned long)all[i].address, all[i].result);
  fflush(stdout);
}

/* Waits for a word of the other process, the second of two, which it has somewhere else. */
static int second(int told) {
  char byte;
  if (read(told, &byte, 1) != 1) return 1;
  struct waiter two[2] = {on(&words[0], 0, PRIVATE), on(&shared[1], 0, 0)};
  long result = waitv(two, 2, 0, 0);
  if (read(told, &byte, 1) != 1) return 1;
  say(", ");
  return result != 1;
}

static int across(int child, int tell) {
  if (write(tell, "g", 1) != 1) return 1;
  sleeper = child;
  until_asleep(WAITV);
  return !awake(&shared[1], 0);
}

static int everything(int child, int tell) {
  if (failures()) return 1;
  if (fetched()) return 2;
  if (woken(3, 0) || woken(3, 1) || woken(3, 2) || woken(3, 2)) return 3;
  if (woken(MANY, 0) || woken(MANY, 64) || woken(MANY, MANY - 1)) return 4;
  if (moved()) return 5;
  if (held()) return 6;
  if (interrupted(0)) return 7;
  if (interrupted(SA_RESTART)) return 8;
  return across(child, tell) ? 9 : 0;
}

int main(int count, char **arguments) {
  if (count == 2) return syscall(REQUEUE2, 0, 0, 0, 0) != -1 || errno == ENOSYS;
  int ready = told(count, arguments, "--ready-fd", 8), go = told(count, arguments, "--go-fd", 9), status = 0, cue[2];
  int memory = memfd_create("futex2", 0);
  char byte;
  if (memory < 0 || ftruncate(memory, 4096) || pipe(cue)) return 1;
  int sleeps = !strcmp(arguments[1], "sleep"), child = sleeps ? 0 : fork();
  /* Not at the same address in both. */
  if (child) mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  if (shared == MAP_FAILED) return 1;
  if (!child && !sleeps) return second(cue[0]);
  if (!may_go(count, arguments)) return 1;
  if (sleeps) {
    struct waiter two[2] = {on(&words[0], 0, PRIVATE), on(&words[1], 0, PRIVATE)};
    return waitv(two, 2, 0, 0) >= 0;
  }
  int failed = everything(child, cue[1]);
  /* What it has mapped can be looked at as long as it lives. */
  if (write(ready, "d", 1) != 1 || read(go, &byte, 1) != 1) return 1;
  if (failed) {
    printf("went wrong at %d\n", failed);
    kill(child, SIGKILL);
  } else {
    say("[");
    if (write(cue[1], "g", 1) != 1) return 1;
  }
  waitpid(child, &status, 0);
  puts("]");
  return failed || status;
}
