/* Says "ready", waits for a byte, holds mutexes for known times, and says at its end as JSON, by address: how often, for how long at
 * least (by its own clock, from having it to letting go) and at most. Arguments: --ready-fd N --go-fd N. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bare.h"
#include "told.h"

enum { PLAIN, FOUGHT, SPUN, RECURSIVE, TRIED, CONDITION, TIMED, INHERITS, ROBUST, KINDS };

static pthread_mutex_t mutexes[KINDS];
static const int kinds[KINDS] = {PTHREAD_MUTEX_NORMAL,    PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ADAPTIVE_NP,
                                 PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_NORMAL,
                                 PTHREAD_MUTEX_NORMAL,    PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_NORMAL};
static struct { long count, least, most; } held[KINDS];
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int begun[2], done[2];
static long let_go; /* When the mutex that is fought for was free at the earliest. */

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void nap(long milliseconds) {
  struct timespec time = {0, milliseconds * 1000000L};
  nanosleep(&time, 0);
}

/* Keeps what it has for a time and lets go of it; wanted is when it could have had it at the earliest. */
static void keep(int which, long wanted, long milliseconds) {
  long got = now();
  nap(milliseconds);
  let_go = now();
  pthread_mutex_unlock(&mutexes[which]);
  held[which].count++;
  held[which].most += now() - wanted;
  held[which].least += let_go - got;
}

static void hold(int which, long milliseconds) {
  long wanted = now();
  pthread_mutex_lock(&mutexes[which]);
  keep(which, wanted, milliseconds);
}

static void *waiter(void *none) {
  char which;
  while (read(begun[0], &which, 1) == 1 && which < KINDS) {
    pthread_mutex_lock(&mutexes[(int)which]);
    keep(which, let_go, 1);
    if (write(done[1], &which, 1) != 1) return none;
  }
  return none;
}

/* Whether somebody waits, or is about to: so says the word of glibc, and that of those whose word is the holder's id. */
static int is_wanted(char which) {
  unsigned word = __atomic_load_n((unsigned *)&mutexes[(int)which].__data.__lock, __ATOMIC_RELAXED);
  return word == 2 || word >> 31;
}

/* The waiter is certain to wait. */
static int fight(char which) {
  long wanted = now(), got;
  char byte;
  pthread_mutex_lock(&mutexes[(int)which]);
  got = now();
  if (write(begun[1], &which, 1) != 1) return 1;
  while (!is_wanted(which)) usleep(200);
  nap(2);
  held[(int)which].count++;
  let_go = now();
  held[(int)which].least += let_go - got;
  pthread_mutex_unlock(&mutexes[(int)which]);
  long after = now();
  if (read(done[0], &byte, 1) != 1) return 1;
  held[(int)which].most += after - wanted;
  return 0;
}

static void *keeper(void *none) {
  char byte;
  pthread_mutex_lock(&mutexes[TRIED]);
  long got = now();
  if (write(done[1], "", 1) != 1 || read(begun[0], &byte, 1) != 1) return none;
  held[TRIED].count++;
  held[TRIED].least += now() - got;
  pthread_mutex_unlock(&mutexes[TRIED]);
  return none;
}

/* An attempt that fails, long before the mutex is taken for once. */
static int fail_and_take(void) {
  pthread_t thread;
  char byte;
  long before = now();
  if (pthread_create(&thread, 0, keeper, 0) || read(done[0], &byte, 1) != 1) return 1;
  if (!pthread_mutex_trylock(&mutexes[TRIED])) return 1;
  nap(20);
  if (write(begun[1], "", 1) != 1 || pthread_join(thread, 0)) return 1;
  held[TRIED].most += now() - before;
  hold(TRIED, 1);
  for (int i = 0; i < 20; i++) {
    long wanted = now();
    if (pthread_mutex_trylock(&mutexes[TRIED])) return 1;
    keep(TRIED, wanted, 1);
  }
  return 0;
}

static void wait_and_hold(void) {
  long wanted = now(), got;
  struct timespec until;
  pthread_mutex_lock(&mutexes[CONDITION]);
  got = now();
  nap(1);
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += 10000000;
  if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  held[CONDITION].count++;
  held[CONDITION].least += now() - got;
  pthread_cond_timedwait(&condition, &mutexes[CONDITION], &until);
  /* Of that, ten milliseconds at least were spent without it, but for what the call took to let go. */
  keep(CONDITION, wanted + 5000000, 1);
}

static int all(void) {
  pthread_t thread;
  struct timespec past = {0};
  for (int i = 0; i < 40; i++) hold(PLAIN, 1);
  for (int i = 0; i < 20; i++) hold(PLAIN, 5);
  for (int i = 0; i < 20; i++) {
    long wanted = now();
    pthread_mutex_lock(&mutexes[RECURSIVE]);
    long got = now();
    pthread_mutex_lock(&mutexes[RECURSIVE]);
    nap(1);
    pthread_mutex_unlock(&mutexes[RECURSIVE]);
    held[RECURSIVE].least += now() - got;
    keep(RECURSIVE, wanted, 1);
  }
  for (int i = 0; i < 10; i++) {
    long wanted = now();
    pthread_mutex_timedlock(&mutexes[TIMED], &past);
    keep(TIMED, wanted, 1);
  }
  for (int i = 0; i < 15; i++) wait_and_hold();
  if (fail_and_take() || pthread_create(&thread, 0, waiter, 0)) return 1;
  for (int i = 0; i < 20; i++)
    if (fight(FOUGHT) || fight(SPUN) || fight(INHERITS) || fight(ROBUST)) return 1;
  char last = KINDS;
  return write(begun[1], &last, 1) != 1 || pthread_join(thread, 0);
}

int main(int count, char **arguments) {
  for (int i = 0; i < KINDS; i++) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, kinds[i]);
    if (i == INHERITS) pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    if (i == ROBUST) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutexes[i], &attributes);
  }
  if (pipe(begun) || pipe(done) || !may_go(count, arguments) || all()) return 1;
  for (int i = 0; i < KINDS; i++)
    printf("%s\"%lu\": [%ld, %ld, %ld]", i ? ", " : "{", (unsigned long)&mutexes[i], held[i].count, held[i].least, held[i].most);
  puts("}");
  return 0;
}
