#include <pthread.h>

__attribute__((noinline)) void take_in_library(pthread_mutex_t *wanted) {
  pthread_mutex_lock(wanted);
  __asm__ volatile("" ::: "memory");
}
