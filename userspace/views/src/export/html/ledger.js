// What was counted and what was not; where, and by which means.

function heading(title, ...chips) {
  document.title = clean(title);
  document.querySelector("h1").textContent = clean(title);
  document.querySelector(".chips").append(...chips.filter(Boolean));
}

function total(slots) {
  return Object.values(slots).reduce((sum, n) => sum + n, 0);
}

/** A share as the report writes it: two digits. */
function shareWords(percent) {
  if (percent === 0) return "0%";
  if (percent < 0.01) return "<0.01%";
  return percent.toFixed(percent < 0.995 ? 2 : percent < 9.95 ? 1 : 0) + "%";
}

function ledgerChip(ledger) {
  const share = ledger.share_percent === null ? "" : ` (${shareWords(ledger.share_percent)})`;
  const tone = { complete: "chip good", LOST: "chip bad" }[ledger.grade] || "chip";
  return el("span", { class: tone }, `${ledger.grade}${share}, ${count(total(ledger.lost))} lost`);
}

const CLASSES = [
  ["lost", "missing from the numbers"], ["degraded", "counted, but a detail is missing", "partial"],
  ["censored", "partly outside of the session"], ["events", "other events in the numbers"],
];

function ledgerTable(ledger, counted = true) {
  const rows = !counted ? []
    : [{ cells: [cell("counted", "0"), cell("system calls in the numbers"), number(ledger.counted, count)] }];
  CLASSES.forEach(([name, meaning, word], at) => Object.entries(ledger[name]).forEach(([slot, n]) =>
    rows.push({ key: slot, cells: [
      cell(word || name, String(at + 1)), cell(clean(slot.replaceAll("_", " ")) + ": " + meaning), number(n, count),
    ] })));
  return table([{ title: "class", name: true }, { title: "slot", name: true }, { title: "events" }],
    rows.reverse(), { sort: 2, rows: 20 }).node;
}

function showLedger(ledger, said, counted = true) {
  const rule = "counted + lost + censored is the truth; what is partial is counted, without some detail.";
  section("Ledger", el("p", { class: "soft" }, rule), notes(said), ledgerTable(ledger, counted));
}

function showEnvironment(data) {
  const { overhead, host, session } = data;
  const ofCpu = (value) => (value === null ? null : percent(value) + " of a CPU");
  const rows = overhead.programs.map((program) => ({ cells: [
    cell(clean(program.name)), number(program.events, count), number(program.ns_per_event, time),
    number(program.cpu_percent, (value) => value === null ? null : value.toFixed(3) + " %"),
    number(program.missed, count)] }));
  section("Environment and cost", facts([
    ["kernel", host.kernel], ["architecture", host.arch], ["CPUs", String(host.cpus)], ["clock", host.clock],
    ["tool", `${data.tool.name} ${data.tool.version}`],
    ["probes", session.probes.join(", ")], ["tracing takes", ofCpu(overhead.cpu_percent)],
    ["of it in system calls of the targets", ofCpu(overhead.target_calls_percent)],
    ["in those of all other processes", ofCpu(overhead.other_calls_percent)],
    ["tool's CPU time", time(overhead.tool_cpu_ns)], ["tool's memory", bytes(overhead.tool_bytes)],
    ["memory in the kernel", bytes(overhead.kernel_bytes)],
    ["slow-down by traps", overhead.slowdown_estimate === null ? null : digits(overhead.slowdown_estimate) + " times"],
  ]), el("p", { class: "mono small" }, clean(session.command.join(" "))),
  el("h3", {}, "Programs in the kernel"), table([
    { title: "program", name: true }, { title: "runs sampled" }, { title: "per run" }, { title: "of a CPU" },
    { title: "left out" },
  ], rows, { sort: 3, rows: 20 }).node);
}
