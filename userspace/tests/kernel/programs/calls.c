/* Says "ready", waits for a byte, wants mutexes in every way, each so often as it says at its end as JSON: by address how many calls
 * wanted it. Arguments: --ready-fd N --go-fd N. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bare.h"
#include "told.h"

enum { NORMAL, ADAPTIVE, RECURSIVE, CHECKED, CONDITION, KINDS };

static pthread_mutex_t mutexes[KINDS];
static const int kinds[KINDS] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ADAPTIVE_NP, PTHREAD_MUTEX_RECURSIVE,
                                 PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_NORMAL};
static long wanted[KINDS];
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static void prepare(void) {
  for (int i = 0; i < KINDS; i++) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, kinds[i]);
    pthread_mutex_init(&mutexes[i], &attributes);
  }
}

static void lock(int which) {
  wanted[which]++;
  pthread_mutex_lock(&mutexes[which]);
}

static void unlock(int which) { pthread_mutex_unlock(&mutexes[which]); }

static void all(void) {
  struct timespec past = {0};
  for (int i = 0; i < 1009; i++) lock(NORMAL), unlock(NORMAL);
  for (int i = 0; i < 2003; i++) lock(ADAPTIVE), unlock(ADAPTIVE);
  for (int i = 0; i < 307; i++) lock(RECURSIVE), lock(RECURSIVE), unlock(RECURSIVE), unlock(RECURSIVE);
  /* The second one is told that it has it. */
  for (int i = 0; i < 101; i++) lock(CHECKED), lock(CHECKED), unlock(CHECKED);
  for (int i = 0; i < 503; i++, wanted[NORMAL]++) {
    pthread_mutex_timedlock(&mutexes[NORMAL], &past);
    unlock(NORMAL);
  }
  for (int i = 0; i < 211; i++, wanted[NORMAL]++) {
    pthread_mutex_clocklock(&mutexes[NORMAL], CLOCK_MONOTONIC, &past);
    unlock(NORMAL);
  }
  /* An attempt is no call that waits. */
  for (int i = 0; i < 401; i++) pthread_mutex_trylock(&mutexes[NORMAL]), unlock(NORMAL);
  for (int i = 0; i < 53; i++) {
    lock(CONDITION);
    pthread_cond_timedwait(&condition, &mutexes[CONDITION], &past);
    wanted[CONDITION]++;
    unlock(CONDITION);
  }
}

/* Two threads at once: what they want is theirs, however they fight for it. */
static void *fight(void *none) {
  for (int i = 0; i < 5003; i++) pthread_mutex_lock(&mutexes[ADAPTIVE]), unlock(ADAPTIVE);
  return none;
}

int main(int count, char **arguments) {
  pthread_t threads[2];
  prepare();
  if (!may_go(count, arguments)) return 1;
  all();
  for (int i = 0; i < 2; i++, wanted[ADAPTIVE] += 5003)
    if (pthread_create(&threads[i], 0, fight, 0)) return 1;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], 0);
  for (int i = 0; i < KINDS; i++)
    printf("%s\"%lu\": %ld", i ? ", " : "{", (unsigned long)&mutexes[i], wanted[i]);
  puts("}");
  return 0;
}
