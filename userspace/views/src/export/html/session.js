// The page of one session.

/** A process by its name behind its id; where it has no id, with the number of ended ones that it stands for. */
const IDENTITY = (it) => {
  const name = it.comm || "(no name)";
  if (it.folded) return `${name}, ${it.folded} ended process${it.folded === 1 ? "" : "es"}`;
  return it.pid ? `${it.pid} ${name}` : name;
};

/** Whether system calls were counted: a page without any does not say that there were none. */
const counted = (data) => data.session.probes.length === 0 || data.session.probes.includes("syscalls");

function showSession(data) {
  const all = data.processes;
  const own = all.filter((it) => it.pid || it.folded);
  const seen = own.reduce((sum, it) => sum + (it.folded || 1), data.ledger.degraded.processes_shared || 0);
  heading(`pulse-trace: ${all.length === 1 ? IDENTITY(all[0]) : seen + " processes"}`, ledgerChip(data.ledger));
  const calls = all.flatMap((it) => it.syscalls);
  document.querySelector("header").append(facts([
    ["traced for", time(data.session.duration_ns), data.session.duration_ns],
    ["system calls", counted(data) ? count(data.ledger.counted) : null, data.ledger.counted],
    ["failed", counted(data)
      ? count(calls.reduce((sum, call) => sum + Object.values(call.errors).reduce((a, b) => a + b, 0), 0)) : null],
    ["context switches", count(data.ledger.events.context_switches)],
    ["cost of tracing", data.overhead.cpu_percent === null ? null : percent(data.overhead.cpu_percent) + " of a CPU",
      data.overhead.cpu_percent],
    ["started", date(data.session.start_unix_ns)],
  ]));
  if (!data.session.finished) document.querySelector("header").append(
    ...notes(["The recording ends early: numbers are complete up to its last whole frame."], "bad"),
  );
  const pool = series(data);
  if (pool.length) showDistributions(pool);
  showBudgets(all, data.session.probes.includes("faults"));
  showCalls(all, pool);
  showEvents(all);
  showScheduling(all);
  showLocks(all);
  showCounters(all);
  showProcesses(all, counted(data));
  showLedger(data.ledger, data.notes, counted(data));
  showEnvironment(data);
}

/** Every distribution of times, the one that took longest in total first. */
function series(data) {
  const list = [];
  const several = data.processes.length > 1;
  const add = (of, name, hist, kind) => {
    if (hist && hist.count > 0) list.push({
      name, key: `${IDENTITY(of)}/${name}`, label: several ? `${name} \u00b7 ${IDENTITY(of)}` : name, hist, kind,
    });
  };
  for (const it of data.processes) {
    it.syscalls.forEach((call) => add(it, call.name, call.latency, "calls"));
    it.events.forEach((event) => add(it, `${event.probe}: ${event.kind}`, event.time, "events"));
    if (it.sched) {
      add(it, "wakeup to run", it.sched.wakeup_to_run, "sched");
      add(it, "preempted to run", it.sched.preempted_to_run, "sched");
      add(it, "stretch on CPU", it.sched.on_cpu, "sched");
      add(it, "stretch off CPU", it.sched.off_cpu, "sched");
    }
    locksOf(it).forEach((futex) => add(it, `${futex.op} ${lockName(futex)}`, futex.wait, "locks"));
  }
  return list.sort((left, right) => right.hist.sum - left.hist.sum);
}

function showDistributions(pool) {
  const chosen = new Map();
  const plots = distributions([], time, "time");
  const place = () => [0, 1, 2, 3, 4, 5, 6, 7].find((colour) => ![...chosen.values()].includes(colour));
  const update = () => plots.show([...chosen].map(([entry, colour]) => ({ ...entry, colour })));
  const toggle = (entry) => {
    if (chosen.has(entry)) chosen.delete(entry);
    else if (chosen.size < COLOURS) chosen.set(entry, place());
    update();
  };
  const columns = [
    { title: "distribution", name: true }, { title: "of", name: true }, { title: "count" }, { title: "total" },
    { title: "p50" }, { title: "p99" }, { title: "max" },
  ];
  const kinds = { calls: "system call", sched: "scheduling", locks: "lock" };
  const rows = pool.map((entry) => ({
    key: entry.key, pick: () => toggle(entry), on: () => chosen.has(entry),
    cells: [mark(entry, chosen), cell(kinds[entry.kind]), number(entry.hist.count, count), number(entry.hist.sum, time),
      number(entry.hist.p50, time), number(entry.hist.p99, time), number(entry.hist.max, time)],
  }));
  const list = table(columns, rows, { sort: 3, rows: 8 });
  section("Distributions", plots.node, el("details", { open: pool.length <= 8 ? "" : null },
    el("summary", {}, `Choose among ${pool.length} distributions (up to ${COLOURS} at once)`), list.node));
  // Calls are the main content of a page; a session without any begins with the distributions that it has.
  const calls = pool.filter((entry) => entry.kind === "calls");
  // One of each kind of call: the same call of many processes would hide the others.
  const names = new Set();
  const first = calls.filter((entry) => !names.has(entry.name) && names.add(entry.name));
  (first.length ? first : pool).slice(0, 5).forEach((entry) => chosen.set(entry, place()));
  update();
  list.draw();
}

function mark(entry, chosen) {
  return {
    text: clean(entry.label), value: entry.label,
    node: () => el("span", {}, chosen.has(entry) ? swatchLine(chosen.get(entry)) : "+ ", clean(entry.label)),
  };
}

const PARTS = [
  ["user", "user code and page faults", "user"], ["kernel", "kernel", "kernel"],
  ["woken", "woken, waiting for a CPU", "queue"], ["preempted", "preempted, waiting for a CPU", "pushed"],
];
const PARTS_WITH_FAULTS = [["user", "user code", "user"], ["faults", "page faults", "faults"], ...PARTS.slice(1)];

/** The parts of a budget: blocked time by call, the largest ones apart. */
function budgetParts(budget, faults) {
  const values = {
    user: budget.user_ns, faults: budget.faults_ns, kernel: budget.kernel_ns,
    woken: budget.run_queue_ns.woken, preempted: budget.run_queue_ns.preempted,
  };
  const parts = (faults ? PARTS_WITH_FAULTS : PARTS).map(([key, name, colour]) => ({ key, name, value: values[key], colour }));
  const blocked = budget.blocked.reduce((sum, it) => sum + it.ns, 0);
  parts.push({ key: "blocked", name: "blocked", value: blocked, colour: "blocked" });
  parts.push({ key: "stopped", name: "stopped", value: budget.stopped_ns, colour: "other" });
  parts.push({ key: "unknown", name: "unknown", value: budget.unknown_ns, colour: "unknown" });
  return parts;
}

function showBudgets(all, faults) {
  const some = all.filter((it) => it.sched);
  if (!some.length) return;
  const rows = some.map((it) => ({
    key: IDENTITY(it), label: IDENTITY(it), sum: it.sched.budget.wall_ns, parts: budgetParts(it.sched.budget, faults),
  }));
  const busy = rows.map((row) => ({ ...row, parts: row.parts.filter((part) => part.key !== "blocked") }))
    .map((row) => ({ ...row, sum: row.parts.reduce((sum, part) => sum + part.value, 0) }));
  const draw = (list, own) => stacks(list.slice().sort((a, b) => b.sum - a.sum).slice(0, 30), time, own);
  const places = some.flatMap((it) => it.sched.budget.blocked.map((blocked) => ({
    cells: [cell(clean(IDENTITY(it))), cell(blocked.place), number(blocked.count, count), number(blocked.ns, time)],
  })));
  section("Where the time goes",
    el("h3", {}, "All time of all threads"), draw(rows, true),
    el("h3", {}, "Without blocked time, to one scale"), draw(busy, false),
    el("h3", {}, "Blocked in"),
    table([{ title: "process", name: true }, { title: "place", name: true }, { title: "times" }, { title: "time" }],
      places, { sort: 3, rows: 8 }).node);
}

const share = (value) => (value === null ? null : percent(Math.min(value, 1) * 100));

function showCalls(all) {
  const columns = [
    { title: "system call", name: true }, { title: "process", name: true }, { title: "calls" },
    { title: "errors", name: true }, { title: "total" },
    { title: "blocked" }, { title: "queued" }, { title: "mean" },
    { title: "p50" }, { title: "p90" }, { title: "p99" }, { title: "p99.9" }, { title: "max" }];
  const rows = all.flatMap((it) => it.syscalls.map((call) => {
    const hist = call.latency;
    const total = hist.sum + call.lean.sum_ns;
    const offCpu = total > 0 && call.blocked_ns + call.queued_ns > 0;
    const errors = Object.entries(call.errors).map(([name, n]) => `${name} ${count(n)}`).join(", ");
    const times = [hist.mean, hist.p50, hist.p90, hist.p99, hist.p999, hist.max];
    return { key: `${it.pid || IDENTITY(it)}/${call.name}`, cells: [
      cell(call.name), cell(clean(IDENTITY(it))), number(call.count, count), cell(errors || null),
      number(hist.count + call.lean.count > 0 ? total : null, time),
      number(offCpu ? call.blocked_ns / total : null, share), number(offCpu ? call.queued_ns / total : null, share),
      ...times.map((value) => number(value, time)),
    ] };
  }));
  if (rows.length) section("System calls", table(columns, rows, { sort: 4, rows: 15 }).node);
}

/** Events of each probe that counts them by kind. */
function showEvents(all) {
  const columns = [
    { title: "event", name: true }, { title: "process", name: true }, { title: "count" }, { title: "total" },
    { title: "blocked" }, { title: "queued" }, { title: "mean" }, { title: "p50" }, { title: "p99" }, { title: "max" },
    { title: "first of the stacks", name: true }];
  const rows = all.flatMap((it) => it.events.map((event) => {
    const total = event.time.sum + event.lean.sum_ns;
    const offCpu = total > 0 && event.blocked_ns + event.queued_ns > 0;
    const often = event.stacks.slice().sort((a, b) => b.count - a.count)[0];
    return { key: `${it.pid || IDENTITY(it)}/${event.probe}/${event.kind}`, cells: [
      cell(`${event.probe}: ${event.kind}`), cell(clean(IDENTITY(it))), number(event.count, count), number(total, time),
      number(offCpu ? event.blocked_ns / total : null, share), number(offCpu ? event.queued_ns / total : null, share),
      ...[event.time.mean, event.time.p50, event.time.p99, event.time.max].map((value) => number(value, time)),
      cell(often ? clean(often.frames.slice(0, 4).join(" < ")) : null),
    ] };
  }));
  const kinds = new Map(all.flatMap((it) => it.events.map((event) =>
    [`${event.probe}: ${event.kind}`, event.meaning])));
  if (rows.length) section("Events", table(columns, rows, { sort: 3, rows: 15 }).node,
    notes([...kinds].map(([name, meaning]) => `${name}: ${meaning}`)));
}

/** An interrupt by kind, a target with its id, any other program by name. */
function wakerName(waker) {
  if (waker.context === "interrupt") return `interrupt (${clean(waker.interrupt)})`;
  if (waker.context === "task" && !waker.pid && !waker.comm) return "other programs";
  return clean(IDENTITY(waker)) + (waker.context === "task" ? "" : " or an interrupt");
}

function showScheduling(all) {
  const some = all.filter((it) => it.sched);
  if (!some.length) return;
  const rows = some.map((it) => ({ key: IDENTITY(it), cells: [
    cell(clean(IDENTITY(it))), number(it.sched.switches_voluntary, count),
    number(it.sched.switches_involuntary, count),
    number(it.sched.migrations, count), number(it.sched.wakeup_to_run.p50, time),
    number(it.sched.wakeup_to_run.p99, time), number(it.sched.wakeup_to_run.max, time)] }));
  const head = [
    { title: "process", name: true }, { title: "gave up the CPU" }, { title: "lost it" }, { title: "migrations" },
    { title: "wait p50" }, { title: "wait p99" }, { title: "wait max" },
  ];
  const wakers = some.flatMap((it) => it.sched.wakers.map((waker) => ({
    cells: [cell(clean(IDENTITY(it))), cell(wakerName(waker)),
      number(waker.count, count), number(waker.latency.p50, time), number(waker.latency.p99, time),
      number(waker.latency.max, time)],
  })));
  const section_ = section("Scheduling", table(head, rows, { sort: 1, rows: 10 }).node);
  if (wakers.length) section_.append(el("h3", {}, "Who woke whom, and how long that took to run"),
    table([
      { title: "woken", name: true }, { title: "by", name: true }, { title: "wakeups" }, { title: "p50" },
      { title: "p99" }, { title: "max" },
    ], wakers, { sort: 2, rows: 10 }).node);
}

function showCounters(all) {
  const skip = ["counted_share", "not_supported", "refused", "with_children"];
  const some = all.filter((it) => it.counters);
  if (!some.length) return;
  const names = Object.keys(some[0].counters).filter((name) => !skip.includes(name)
    && some.some((it) => it.counters[name] !== null && it.counters[name] !== undefined));
  const columns = [
    { title: "process", name: true },
    ...names.map((name) => ({ title: name.replace(/_ns$/, "").replaceAll("_", " ") })),
  ];
  const rows = some.map((it) => ({ cells: [
    cell(clean(IDENTITY(it))),
    ...names.map((name) => number(it.counters[name] ?? null, name.endsWith("_ns") ? time : count)),
  ] }));
  const missing = new Map(some.flatMap((it) =>
    [...Object.entries(it.counters.not_supported), ...Object.entries(it.counters.refused)]));
  const why = new Map();
  for (const [name, cause] of missing) why.set(cause, [...(why.get(cause) || []), name.replaceAll("_", " ")]);
  section("Counters", table(columns, rows, { sort: 1 }).node,
    notes([...why].map(([cause, list]) => `Not counted: ${list.join(", ")}: ${cause}`)));
}

/** How it ended; of [others] some live and some have ended. */
function ending(it) {
  if (it.exit) return it.exit.text;
  if (it.folded) return "ended";
  return it.pid ? "was running at the end" : null;
}

function showProcesses(all, counted) {
  const rows = all.map((it) => ({ cells: [
    cell(clean(IDENTITY(it)), it.pid), number(it.threads, count),
    number(counted ? it.syscalls.reduce((sum, call) => sum + call.count, 0) : null, count),
    cell(it.parent === null ? null : String(it.parent), it.parent), cell(ending(it))] }));
  section("Processes", table([
    { title: "process", name: true }, { title: "threads" }, { title: "calls" }, { title: "parent" },
    { title: "end", name: true },
  ], rows, { sort: 2, rows: 10 }).node);
}
