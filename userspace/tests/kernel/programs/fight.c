/* Says "ready", waits for a byte, has a thread sleep five times for a mutex that the first thread holds, and says "fought". With an
 * argument the mutex is taken in a library of that name, which is loaded before the byte ("-") or after it ("+"). */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef void (*taker)(pthread_mutex_t *);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static taker take;
static int begun[2], done[2];

__attribute__((noinline)) static void take_at_home(pthread_mutex_t *wanted) {
  pthread_mutex_lock(wanted);
  __asm__ volatile("" ::: "memory");
}

static taker in_library(const char *path) {
  void *library = dlopen(path, RTLD_NOW);
  return library ? (taker)dlsym(library, "take_in_library") : 0;
}

static void *waiter(void *none) {
  char byte = 0;
  for (int i = 0; i < 5; i++) {
    if (read(begun[0], &byte, 1) != 1) return none;
    take(&mutex);
    pthread_mutex_unlock(&mutex);
    if (write(done[1], &byte, 1) != 1) return none;
  }
  return none;
}

static int fight(void) {
  pthread_t thread;
  char byte = 0;
  if (pipe(begun) || pipe(done) || pthread_create(&thread, 0, waiter, 0)) return 1;
  for (int i = 0; i < 5; i++) {
    pthread_mutex_lock(&mutex);
    if (write(begun[1], &byte, 1) != 1) return 1;
    /* glibc's word for a mutex that somebody is about to sleep for; then a moment, so that it mostly does. */
    while (__atomic_load_n(&mutex.__data.__lock, __ATOMIC_RELAXED) != 2) usleep(200);
    usleep(2000);
    pthread_mutex_unlock(&mutex);
    if (read(done[0], &byte, 1) != 1) return 1;
  }
  return pthread_join(thread, 0);
}

int main(int count, char **arguments) {
  char byte;
  const char *path = count > 1 ? arguments[1] : "";
  take = *path == '-' ? in_library(path + 1) : take_at_home;
  puts("ready");
  fflush(stdout);
  if (!take || read(0, &byte, 1) != 1) return 1;
  if (*path == '+') take = in_library(path + 1);
  if (!take || fight()) return 1;
  puts("fought");
  fflush(stdout);
  /* It stays until nobody wants to look at it any more. */
  return read(0, &byte, 1) != 0;
}
