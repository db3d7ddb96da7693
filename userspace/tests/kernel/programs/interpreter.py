"""Two threads that fight for the interpreter, or one that waits for work in a queue. Prints the lives and the CPU time of
its threads, in seconds."""

import json
import os
import queue
import sys
import threading
import time

TIMES = 7
LIFE = 1.0

ready, go = (int(sys.argv[sys.argv.index(name) + 1]) for name in ("--ready-fd", "--go-fd"))
lives = []


def compute(end):
    began, number = time.perf_counter(), 0
    while time.perf_counter() < end:
        for step in range(1000):
            number += step
    lives.append({"wall": time.perf_counter() - began, "cpu": time.thread_time()})


def fight():
    end = time.perf_counter() + LIFE
    threads = [threading.Thread(target=compute, args=(end,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def serve(work):
    while work.get() is not None:
        pass


def idle():
    work = queue.Queue()
    server = threading.Thread(target=serve, args=(work,))
    server.start()
    for time_left in range(TIMES):
        time.sleep(0.05)
        work.put(time_left)
    work.put(None)
    server.join()


os.write(ready, b"ready\n")
os.read(go, 1)
{"fight": fight, "idle": idle}[sys.argv[1]]()
print(json.dumps({"lives": lives, "times": TIMES}))
