/* Two threads and two forked children change their names after the session has begun; one child runs another program and
 * changes its name again. Says the ids of both children. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "told.h"

static int wait_here[2];

static void *sleeper(void *unused) {
  char byte;
  (void)unused;
  return read(wait_here[0], &byte, 1) == 1 ? NULL : (void *)1;
}

static pid_t child(const char *name, char **again) {
  pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_NAME, name);
    if (again)
      execv("/proc/self/exe", again);
    _exit(again != NULL);
  }
  return pid;
}

int main(int argc, char **argv) {
  pthread_t thread;
  char *again[] = {argv[0], "again", NULL};
  if (argc == 2 && !strcmp(argv[1], "again")) {
    prctl(PR_SET_NAME, "role-of-exec");
    return 0;
  }
  if (pipe(wait_here) || pthread_create(&thread, NULL, sleeper, NULL) || !may_go(argc, argv))
    return 1;
  /* Another thread's name is changed through /proc. */
  pthread_setname_np(thread, "role-of-thread");
  prctl(PR_SET_NAME, "role-of-first");
  pid_t forked = child("role-of-child", NULL), replaced = child("unseen", again);
  if (write(wait_here[1], "x", 1) != 1 || pthread_join(thread, NULL))
    return 1;
  int status;
  while (wait(&status) > 0)
    if (status)
      return 1;
  printf("{\"forked\":%d,\"replaced\":%d}\n", forked, replaced);
  return 0;
}
