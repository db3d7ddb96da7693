// Locks: waits in the kernel, mutexes from inside, spins.

function lockName(lock) {
  if (!lock.shared) return "0x" + lock.address.toString(16);
  return `${lock.shared.path.split("/").pop() || "inode " + lock.shared.inode}+0x${lock.shared.offset.toString(16)}`;
}

/** What was not measured took no known time. */
const sum = (hist) => (hist.count > 0 ? hist.sum : null);

const VERDICTS = ["contention", "unclear", "waiting", "idle"];

/** Distributions as one. */
function added(hists) {
  const some = hists.filter((hist) => hist.count > 0);
  if (some.length < 2) return some[0] || hists[0];
  const of = (name) => some.map((hist) => hist[name]);
  const total = (name) => of(name).reduce((sum, value) => sum + value, 0);
  const buckets = new Map();
  some.flatMap((hist) => hist.buckets).forEach(([low, high, n]) => {
    buckets.set(low, [low, high, n + (buckets.has(low) ? buckets.get(low)[2] : 0)]);
  });
  const all = {
    ...some[0], count: total("count"), sum: total("sum"), mean: total("sum") / total("count"),
    min: Math.min(...of("min")), max: Math.max(...of("max")),
    buckets: [...buckets.values()].sort((left, right) => left[0] - right[0]),
  };
  const shares = { p50: 0.5, p90: 0.9, p99: 0.99, p999: 0.999 };
  Object.entries(shares).forEach(([name, share]) => { all[name] = valueAt(all, share); });
  return all;
}

/** The parts of a lock as one. A thread that has a mutex inside of it does not have the lock. */
function together(address, parts) {
  const waits = parts.filter((futex) => futex.wait.count > 0);
  const addresses = new Set(parts.map((futex) => futex.address));
  const runtime = parts.map((futex) => futex.runtime).find(Boolean);
  return {
    address, shared: null, mutex: null,
    what: `(${runtime}, ${addresses.size} futex${addresses.size === 1 ? "" : "es"})`,
    op: [...new Set(waits.map((futex) => futex.op))].join(", "),
    waits: VERDICTS.find((verdict) => waits.some((futex) => futex.waits === verdict)),
    wait: added(parts.map((futex) => futex.wait)),
    stacks: parts.flatMap((futex) => futex.stacks).sort((left, right) => right.count - left.count),
  };
}

/** Futexes of a process; those that are parts of one lock, such as CPython's GIL, together. */
function locksOf(it) {
  const wholes = new Map();
  it.futex.filter((futex) => futex.lock).forEach((futex) => {
    wholes.set(futex.lock, [...(wholes.get(futex.lock) || []), futex]);
  });
  const joined = [...wholes].map(([address, parts]) => together(address, parts));
  return [...it.futex.filter((futex) => !futex.lock), ...joined];
}

function showLocks(all) {
  const futexes = all.flatMap((it) => locksOf(it).filter((futex) => futex.wait.count > 0).map((futex) => ({
    key: `${it.pid} ${lockName(futex)} ${futex.op}`,
    cells: [cell(clean([lockName(futex), futex.what].filter(Boolean).join(" "))),
      cell(clean(IDENTITY(it))), cell(futex.waits, VERDICTS.indexOf(futex.waits)), cell(futex.op),
      number(futex.wait.count, count),
      number(futex.wait.sum, time), number(futex.wait.p50, time), number(futex.wait.p99, time),
      meanSpins(futex.mutex), cell(clean(callers(futex)) || null)],
  })));
  const mutexes = all.flatMap((it) => it.mutex.map((mutex) => ({
    cells: [cell(clean(lockName(mutex))), cell(clean(IDENTITY(it))),
      cell(clean([mutex.runtime, mutex.kind].filter(Boolean).join(" "))),
      number(mutex.calls, count), number(mutex.contended, count),
      number(mutex.got_by_spinning, count), number(mutex.went_to_kernel, count),
      number(mutex.spin_count.p50, count), number(sum(mutex.spin_time), time),
      number(mutex.hold && mutex.hold.p50, time), cell(clean(callers(mutex)) || null)],
  })));
  const inside = all.flatMap((it) => (it.inline || []).map((of) => ({
    cells: [cell([of.kind, of.generation].filter(Boolean).join(" ")), cell(clean(IDENTITY(it))),
      number(of.acquisitions, count), number(of.contended, count),
      number(of.gave_up_spinning, count), number(of.went_to_kernel, count),
      number(of.spin_count && of.spin_count.p50, count), number(of.spin_count && of.spin_count.p99, count)],
  })));
  if (!futexes.length && !mutexes.length && !inside.length) return;
  const node = section("Locks");
  if (futexes.length) node.append(el("h3", {}, "Waits in the kernel"), table([
    { title: "lock", name: true }, { title: "process", name: true },
    { title: "what", name: true,
      hint: "contention: another thread had it; waiting: on a condition, an event or a timer (a lock built on one looks the same); idle: no work, for certain; unclear: it cannot be told" },
    { title: "operation", name: true },
    { title: "waits" }, { title: "time" }, { title: "p50" }, { title: "p99" },
    { title: "mean spins",
      hint: "the mean spin count to 10 %, as the library's __spins tells over time; nothing where it does not" },
    { title: "mostly from", name: true }], futexes, { sort: 5, rows: 12 }).node);
  const held = holders(all);
  if (held.length) node.append(el("h3", {}, "Who held them when a wait began"), table([
    { title: "lock", name: true }, { title: "process", name: true }, { title: "operation", name: true },
    { title: "holder", name: true },
    { title: "waits that found it", hint: "of those of which the holder is known" }, { title: "known of" },
    { title: "of waits" }], held, { sort: 4, rows: 12 }).node);
  if (mutexes.length) node.append(el("h3", {}, "Mutexes, seen from inside"), table([
    { title: "lock", name: true }, { title: "process", name: true }, { title: "kind", name: true },
    { title: "wanted", hint: "calls that found it free included, with --mutex-total" }, { title: "contended" },
    { title: "got by spinning" }, { title: "to the kernel" }, { title: "spins p50" }, { title: "time spun" },
    { title: "held p50", hint: "with --mutex-hold" }, { title: "mostly from", name: true }],
  mutexes, { sort: 4, rows: 12 }).node);
  if (inside.length) node.append(el("h3", {}, "Every acquisition, counted inside of the process"), table([
    { title: "kind", name: true }, { title: "process", name: true },
    { title: "acquisitions" }, { title: "contended" }, { title: "gave up spinning" }, { title: "to the kernel" },
    { title: "spins p50" }, { title: "spins p99" }], inside, { sort: 2 }).node);
  const spun = all.flatMap((it) => it.mutex.filter((mutex) => mutex.spin_count.count > 0)
    .map((mutex) => ({ label: `${lockName(mutex)} \u00b7 ${IDENTITY(it)}`, hist: mutex.spin_count })));
  all.forEach((it) => (it.inline || []).filter((of) => of.spin_count && of.spin_count.count > 0)
    .forEach((of) => spun.push({ label: `all ${of.kind} \u00b7 ${IDENTITY(it)}`, hist: of.spin_count })));
  if (!spun.length) return;
  const plots = distributions([], count, "spin count");
  node.append(el("h3", {}, "Spins, as the library counts them"), plots.node);
  plots.show(spun.sort((left, right) => right.hist.count - left.hist.count).slice(0, COLOURS)
    .map((entry, colour) => ({ ...entry, colour })));
}

/** One row for each holder: "n of m known of w waits". */
function holders(all) {
  return all.flatMap((it) => locksOf(it).filter((futex) => futex.mutex).flatMap((futex) => {
    const known = futex.mutex.holders.reduce((sum, holder) => sum + holder.count, 0);
    return futex.mutex.holders.map((holder) => ({
      key: `${it.pid}/${futex.address}/${futex.op}/${holder.tid}`,
      cells: [cell(clean(lockName(futex))), cell(clean(IDENTITY(it))), cell(futex.op),
        cell(clean(`${holder.tid} ${holder.comm || "(no name)"}`)), number(holder.count, count),
        number(known, count), number(futex.wait.count, count)],
    }));
  }));
}

/** The mean spin count of an adaptive mutex, or what it is less than, if that can be told. */
function meanSpins(mutex) {
  const mean = mutex && mutex.spin_mean;
  if (!mean || (mean.doubt && mean.below === null)) return cell(null);
  return mean.doubt ? cell(`< ${Math.round(mean.below)}`, mean.below) : cell(mean.mean.toFixed(1), mean.mean);
}

function callers(lock) {
  const first = lock.stacks.find((stack) => stack.caller || stack.frames.length);
  return first ? first.caller || first.frames[0] : "";
}
