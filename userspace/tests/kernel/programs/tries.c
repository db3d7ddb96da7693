/* Says "ready", waits for a byte, and tries in vain to take a mutex that another thread has, again and again; each time it takes
 * it for a moment long after that. Says at its end as JSON, by address: how often the mutex was held, for how long at least, and
 * for how long at most in any one time, by its own clock. Arguments: --ready-fd N --go-fd N. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "told.h"

enum { ROUNDS = 150, NAP_MS = 10 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int wanted[2], done[2];
static long longest;

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void held_since(long before) {
  long time = now() - before;
  if (time > longest) longest = time;
}

/* Has the mutex while the other one tries. The two take turns: each hears from the other before it goes on. */
static void *keeper(void *none) {
  char byte;
  for (int i = 0; i < ROUNDS; i++) {
    long before = now();
    pthread_mutex_lock(&mutex);
    if (write(done[1], "", 1) != 1 || read(wanted[0], &byte, 1) != 1) exit(1);
    pthread_mutex_unlock(&mutex);
    held_since(before);
    if (write(done[1], "", 1) != 1 || read(wanted[0], &byte, 1) != 1) exit(1);
  }
  return none;
}

static int fail_and_take(void) {
  struct timespec nap = {0, NAP_MS * 1000000L};
  char byte;
  if (read(done[0], &byte, 1) != 1) return 1;
  if (!pthread_mutex_trylock(&mutex)) return 1;
  if (write(wanted[1], "", 1) != 1 || read(done[0], &byte, 1) != 1) return 1;
  nanosleep(&nap, 0);
  long before = now();
  pthread_mutex_lock(&mutex);
  pthread_mutex_unlock(&mutex);
  held_since(before);
  return write(wanted[1], "", 1) != 1;
}

int main(int count, char **arguments) {
  pthread_t thread;
  if (pipe(wanted) || pipe(done) || !may_go(count, arguments) || pthread_create(&thread, 0, keeper, 0)) return 1;
  for (int i = 0; i < ROUNDS; i++)
    if (fail_and_take()) return 1;
  pthread_join(thread, 0);
  printf("{\"%lu\": [%d, 0, %ld]}\n", (unsigned long)&mutex, 2 * ROUNDS, longest);
  return 0;
}
