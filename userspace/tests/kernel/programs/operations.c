/* A known number of each of some operations of futex, fcntl and epoll_ctl. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>

#include "told.h"

static uint32_t word = 1;

static long futex(int op, uint32_t value, const struct timespec *limit) {
  return syscall(SYS_futex, &word, op, value, limit, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void many(int times, int op, uint32_t value) {
  while (times--)
    futex(op, value, NULL);
}

static void naps(int times) {
  const struct timespec nap = {0, 2000000};
  while (times--)
    futex(FUTEX_WAIT_PRIVATE, 1, &nap);
}

static void controls(int times, int command, void *argument) {
  while (times--)
    syscall(SYS_fcntl, 0, command, argument);
}

int main(int argc, char **argv) {
  struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
  struct epoll_event event = {.events = EPOLLIN};
  int own = epoll_create1(0), other = epoll_create1(0);
  if (!may_go(argc, argv))
    return 1;
  many(7, FUTEX_WAKE, 1);
  many(5, FUTEX_WAKE_PRIVATE, 1);
  many(11, FUTEX_WAIT_PRIVATE, 2);
  naps(3);
  many(13, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 2);
  many(2, 77, 0);
  controls(17, F_GETFL, NULL);
  controls(19, F_SETLKW, &whole);
  controls(23, F_OFD_GETLK, &whole);
  controls(4, F_GETPIPE_SZ, NULL);
  controls(6, 5000, NULL);
  for (int at = 0; at < 8; at++) {
    epoll_ctl(own, EPOLL_CTL_ADD, other, &event);
    epoll_ctl(own, EPOLL_CTL_MOD, other, &event);
    epoll_ctl(own, EPOLL_CTL_MOD, other, &event);
    epoll_ctl(own, EPOLL_CTL_DEL, other, &event);
  }
  epoll_ctl(own, 9, other, &event);
#ifdef __x86_64__
  /* FUTEX_WAKE of the other table: four, of which no word is in its half of the memory. */
  for (int at = 0; at < 4; at++) {
    long answer = 240;
    __asm__ volatile("int $0x80" : "+a"(answer) : "b"(0), "c"(1), "d"(1), "S"(0), "D"(0) : "memory", "r8", "r9", "r10", "r11");
  }
#endif
  return 0;
}
