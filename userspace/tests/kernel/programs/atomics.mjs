// A mutex made with Atomics.wait that two workers fight for. Prints how often one of them slept for it.
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import fs from "node:fs";

const TIMES = 50;
const [FREE, TAKEN, WANTED] = [0, 1, 2];

/** Takes the lock; returns the number of times that it was woken on the way. */
function lock(word) {
  let slept = 0;
  let found = Atomics.compareExchange(word, 0, FREE, TAKEN);
  while (found !== FREE) {
    const isTaken = found === WANTED || Atomics.compareExchange(word, 0, TAKEN, WANTED) !== FREE;
    if (isTaken && Atomics.wait(word, 0, WANTED) === "ok") slept++;
    found = Atomics.compareExchange(word, 0, FREE, WANTED);
  }
  return slept;
}

function unlock(word) {
  if (Atomics.exchange(word, 0, FREE) === WANTED) Atomics.notify(word, 0, 1);
}

function work(word) {
  let slept = 0;
  for (let time = 0; time < TIMES; time++) {
    slept += lock(word);
    const until = Date.now() + 5;
    while (Date.now() < until);
    unlock(word);
  }
  parentPort.postMessage(slept);
}

function main() {
  const [ready, go] = ["--ready-fd", "--go-fd"].map((name) => Number(process.argv[process.argv.indexOf(name) + 1]));
  fs.writeSync(ready, "ready\n");
  fs.readSync(go, Buffer.alloc(1));
  const word = new Int32Array(new SharedArrayBuffer(4));
  const slept = [];
  for (let worker = 0; worker < 2; worker++) {
    new Worker(new URL(import.meta.url), { workerData: word }).on("message", (times) => {
      slept.push(times);
      if (slept.length === 2) console.log(JSON.stringify({ slept: slept[0] + slept[1] }));
    });
  }
}

if (isMainThread) main();
else work(workerData);
