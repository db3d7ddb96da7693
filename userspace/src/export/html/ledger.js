// What was counted and what was not; where, and by which means.

function heading(title, ...chips) {
  document.title = clean(title);
  document.querySelector("h1").textContent = clean(title);
  document.querySelector(".chips").append(...chips.filter(Boolean));
}

function total(slots) {
  return Object.values(slots).reduce((sum, n) => sum + n, 0);
}

function ledgerChip(ledger) {
  const lost = total(ledger.lost);
  if (ledger.complete) return el("span", { class: "chip good" }, "complete: nothing lost");
  return lost > 0 ? el("span", { class: "chip bad" }, `LOST ${count(lost)} events`) : el("span", { class: "chip" }, `nothing lost, ${count(total(ledger.degraded))} without a detail`);
}

const CLASSES = [["lost", "missing from the numbers"], ["degraded", "counted, but a detail is missing"], ["censored", "partly outside of the session"], ["events", "other events in the numbers"]];

function ledgerTable(ledger, counted = true) {
  const rows = !counted ? [] : [{ cells: [cell("counted", "0"), cell("system calls in the numbers"), number(ledger.counted, count)] }];
  CLASSES.forEach(([name, meaning], at) => Object.entries(ledger[name]).forEach(([slot, n]) =>
    rows.push({ key: slot, cells: [cell(name, String(at + 1)), cell(clean(slot.replaceAll("_", " ")) + ": " + meaning), number(n, count)] })));
  return table([{ title: "class", name: true }, { title: "slot", name: true }, { title: "events" }], rows.reverse(), { sort: 2, rows: 20 }).node;
}

function showLedger(ledger, said, counted = true) {
  section("Ledger", el("p", { class: "soft" }, "counted + lost + censored is the truth; what is degraded is counted, without some detail."), notes(said), ledgerTable(ledger, counted));
}

function showEnvironment(data) {
  const { overhead, host, session } = data;
  const rows = overhead.programs.map((program) => ({ cells: [cell(clean(program.name)), number(program.events, count), number(program.ns_per_event, time),
    number(program.cpu_percent, (value) => value === null ? null : value.toFixed(3) + " %"), number(program.missed, count)] }));
  section("Environment and cost", facts([
    ["kernel", host.kernel], ["architecture", host.arch], ["CPUs", String(host.cpus)], ["clock", host.clock], ["tool", `${data.tool.name} ${data.tool.version}`],
    ["probes", session.probes.join(", ")], ["tool's CPU time", time(overhead.tool_cpu_ns)], ["tool's memory", bytes(overhead.tool_bytes)], ["memory in the kernel", bytes(overhead.kernel_bytes)],
    ["slow-down by traps", overhead.slowdown_estimate === null ? null : digits(overhead.slowdown_estimate) + " times"],
  ]), el("p", { class: "mono small" }, clean(session.command.join(" "))),
  el("h3", {}, "Programs in the kernel"), table([{ title: "program", name: true }, { title: "runs sampled" }, { title: "per run" }, { title: "of a CPU" }, { title: "left out" }], rows, { sort: 3, rows: 20 }).node);
}
