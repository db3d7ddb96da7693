/* Two threads with names of their own wake each other through pipes until they are killed; the first thread sleeps. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static int there[2], back[2];

static void *play(void *begins) {
  char byte = 0;
  int from = begins ? back[0] : there[0], to = begins ? there[1] : back[1];
  pthread_setname_np(pthread_self(), begins ? "worker0" : "worker1");
  if (begins && write(to, &byte, 1) != 1)
    exit(1);
  while (read(from, &byte, 1) == 1) {
    usleep(200);
    if (write(to, &byte, 1) != 1)
      break;
  }
  return NULL;
}

int main(void) {
  pthread_t threads[2];
  if (pipe(there) || pipe(back))
    return 1;
  for (long i = 0; i < 2; i++)
    if (pthread_create(&threads[i], NULL, play, (void *)i))
      return 1;
  return pthread_join(threads[0], NULL);
}
