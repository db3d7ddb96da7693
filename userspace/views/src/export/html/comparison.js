// The page of a comparison.

const SECTIONS = {
  throughput: "Throughput", latency: "Latency", losses: "Losses", cost: "Cost", syscalls: "System calls",
  scheduling: "Scheduling", locks: "Locks", wakers: "Wakers", anatomy: "Anatomy",
};

function showComparison(data) {
  const labels = data.columns.map((column) => clean(column.label));
  const bad = data.columns.some((column) => column.ledger && total(column.ledger.lost) > 0);
  heading(
    data.title + ": " + labels.join(", "),
    data.finished ? null : el("span", { class: "chip bad" }, "ended early"),
    bad ? el("span", { class: "chip bad" }, "events were lost") : null,
  );
  const rounds = data.columns.map((column) => column.rounds.length);
  document.querySelector("header").append(facts([
    ["rounds of each", [...new Set(rounds)].join(", ")], ["reference", labels[data.reference]],
    ["confidence", data.method.confidence_percent + "\u202f%"],
    ["costs are per", data.method.per || "round"],
    ["durations", labels.map((label, at) => `${label} ${lasted(data.columns[at].rounds)}`).join(", ")],
    ["took", time(data.method.duration_ns)], ["started", date(data.method.start_unix_ns)],
  ]));
  const summary = (data.summary || []).map((line) => el("li", {}, clean(line)));
  if (summary.length) document.querySelector("header").append(el("ul", { class: "summary" }, summary));
  document.querySelector("header").append(
    ...notes(data.warnings.map((it) => (it.column === null ? "" : labels[it.column] + ": ") + it.text), "bad"),
  );
  showRows(data, labels);
  showOverlay(data);
  showAnatomy(data, labels);
  showRounds(data, labels);
  showColumns(data, labels);
}

/** The shortest and the longest of a variant's rounds. */
function lasted(rounds) {
  const all = rounds.map((round) => round.wall_ns);
  if (!all.length) return "\u2013";
  const [least, most] = [Math.min(...all), Math.max(...all)];
  return least === most ? time(least) : `${time(least)} to ${time(most)}`;
}

function reading(row, at) {
  const it = row.cells[at];
  if (!it) return { text: null, value: null };
  const write = UNITS[row.unit] || count;
  const node = () => {
    const value = el("span", { class: row.best === at ? "best" : null },
      write(it.mean), row.best === at ? " \u2605" : "");
    const range = it.low === null ? null : el("span", { class: "range" }, `${write(it.low)} \u2026 ${write(it.high)}`);
    return el("span", {}, value, range, difference(row.differences[at], write));
  };
  return { text: write(it.mean), value: it.mean, raw: it.mean, node };
}

function difference(it, write) {
  if (!it) return null;
  const signed = (value, how) => (value > 0 ? "+" : value < 0 ? "\u2212" : "") + how(Math.abs(value));
  const size = it.percent === null ? signed(it.absolute, write) : signed(it.percent, percent);
  const more = it.more_rounds ? `, about ${it.more_rounds} more rounds` : "";
  const words = {
    better: `${size} better`, worse: `${size} worse`, different: `${size}`, same: "the same",
    undecided: `~ ${size}`, unknown: `${size}, one round`,
  };
  const interval = it.low === null ? "" : `difference ${write(it.low)} to ${write(it.high)}; `;
  return el("span", {
    class: "diff " + it.verdict,
    title: `${interval}Cliff's delta ${it.cliffs_delta.toFixed(2)}${it.verdict === "undecided" ? "; not decided" + more : ""}`,
  }, words[it.verdict]);
}

function showRows(data, labels) {
  const node = section("Side by side", el("p", { class: "soft small" },
    `Means over rounds with ${data.method.confidence_percent}\u202f% intervals; differences to ${labels[data.reference]}. \u2605 is better than every other one by more than chance; ~ is within what chance does.`));
  for (const [key, title] of Object.entries(SECTIONS)) {
    const rows = data.rows.filter((row) => row.section === key);
    if (!rows.length) continue;
    const note = data.method.primary > 0 && !rows[0].primary ? " (exploratory)" : "";
    const columns = [{ title: title + note, name: true }, ...labels.map((label) => ({ title: label }))];
    const list = rows.map((row, at) => ({
      key: row.key,
      cells: [cell(clean(row.name), at), ...labels.map((_, column) => reading(row, column))],
    }));
    node.append(el("div", { class: "even", style: `--columns:${labels.length}` },
      table(columns, list, { sort: 0, up: true, rows: 16 }).node));
  }
}

function showOverlay(data) {
  const keys = new Map();
  data.columns.forEach((column) => column.histograms.filter((it) => it.values.count > 0)
    .forEach((it) => keys.set(it.key, it.name)));
  if (!keys.size) return;
  const of = (key) => data.columns.map((column, colour) => ({
    label: column.label, colour, hist: (column.histograms.find((it) => it.key === key) || {}).values,
  }))
    .filter((it) => it.hist && it.hist.count > 0);
  const choice = el("select", { "aria-label": "distribution" },
    [...keys].map(([key, name]) => el("option", { value: key }, clean(name))));
  const holder = el("div", {});
  const update = () => {
    const series = of(choice.value);
    const unit = series[0].hist.unit;
    const plots = distributions([], UNITS[unit] || count, unit === "ns" ? "time" : "value");
    holder.replaceChildren(plots.node);
    plots.show(series);
  };
  choice.addEventListener("change", update);
  section("Distributions",
    el("div", { class: "bar" }, choice, el("span", { class: "soft small" }, "all traced rounds together")), holder);
  update();
}

const ANATOMY = {
  sender_call: "kernel", blocked: "blocked", run_queue: "queue", receiver_call: "s5", user_code: "user",
};

function showAnatomy(data, labels) {
  const rows = data.columns.flatMap((column, at) => !column.anatomy ? [] : [{
    key: column.label, label: labels[at], sum: column.anatomy.whole_ns,
    parts: column.anatomy.parts.map((part) => ({
      key: part.key, name: part.name, value: part.ns, colour: ANATOMY[part.key] || "other",
    })) }]);
  if (!rows.length) return;
  const explained = data.columns.flatMap((column, at) =>
    column.anatomy ? [`${labels[at]} ${digits(column.anatomy.explained_percent)}\u202f%`] : []);
  section("Anatomy", el("p", { class: "soft" },
    "What the mean end-to-end time is made of, to one scale. Of the whole the parts explain: "
    + explained.join(", ") + "."), stacks(rows, time, false));
}

/** Every round of every variant, for one quantity: what the intervals are made of. */
function showRounds(data, labels) {
  const rows = data.rows.filter((row) =>
    data.columns.some((column) => column.rounds.some((round) => round.values[row.key] !== undefined)));
  if (!rows.length) return;
  const choice = el("select", { "aria-label": "quantity" },
    rows.map((row) => el("option", { value: row.key }, clean(row.name))));
  const holder = el("div", {});
  const update = () => holder.replaceChildren(dots(data, labels, rows.find((row) => row.key === choice.value)));
  choice.addEventListener("change", update);
  addEventListener("resize", update);
  section("Rounds", el("div", { class: "bar" }, choice,
    el("span", { class: "soft small" }, "one dot per traced round; the bar is the interval of the mean")), holder);
  update();
}

function dots(data, labels, row) {
  const write = UNITS[row.unit] || count;
  const width = Math.max(280, (document.querySelector("main").clientWidth || 900));
  const values = data.columns.flatMap((column) =>
    column.rounds.map((round) => round.values[row.key]).filter((it) => it !== undefined));
  const ends = row.cells.flatMap((it) => it && it.low !== null ? [it.low, it.high] : []);
  const [least, most] = [Math.min(...values, ...ends), Math.max(...values, ...ends)];
  const margin = (most - least || Math.abs(most) || 1) * 0.06;
  const [from, to] = [least - margin, most + margin];
  const left = Math.min(150, width * 0.3);
  const px = (value) => left + (value - from) / (to - from) * (width - left - 30);
  const root = svg("svg", {
    viewBox: `0 0 ${width} ${labels.length * 34 + 30}`, role: "img", "aria-label": clean(row.name),
  });
  data.columns.forEach((column, at) => {
    const y = at * 34 + 18;
    root.append(
      svg("line", { class: "grid", x1: left, x2: width - 12, y1: y, y2: y }),
      svg("text", { x: 0, y: y + 4 }, labels[at].slice(0, 22)),
    );
    const it = row.cells[at];
    if (it && it.low !== null) root.append(svg("line", {
      x1: px(it.low), x2: Math.max(px(it.high), px(it.low) + 1), y1: y, y2: y,
      stroke: `var(--s${at % COLOURS})`, "stroke-width": 9, "stroke-opacity": 0.35,
    }));
    column.rounds.forEach((round) => {
      if (round.values[row.key] === undefined) return;
      const dot = svg("circle", {
        cx: px(round.values[row.key]), cy: y, r: 4, fill: `var(--s${at % COLOURS})`, "fill-opacity": 0.85,
      });
      dot.append(svg("title", {}, `${labels[at]}, round ${round.position}: ${write(round.values[row.key])}`));
      root.append(dot);
    });
  });
  const bottom = labels.length * 34 + 22;
  for (let at = 0; at <= 4; at += width < 500 ? 2 : 1) root.append(svg("text", {
    x: px(from + (to - from) * at / 4), y: bottom, "text-anchor": at === 4 ? "end" : "middle",
  }, write(from + (to - from) * at / 4)));
  return root;
}

function showColumns(data, labels) {
  const { environment, method } = data;
  const ledgers = section("Ledger");
  data.columns.forEach((column, at) => {
    if (!column.ledger) return;
    ledgers.append(
      el("h3", {}, labels[at], " ", ledgerChip(column.ledger)), ...notes(column.notes),
      el("details", {}, el("summary", {}, "every slot"), ledgerTable(column.ledger)),
    );
  });
  section("Environment", facts([
    ["kernel", environment.kernel], ["architecture", environment.arch], ["processor", environment.processor],
    ["CPUs", String(environment.cpus)], ["clock", environment.clock],
    ["load before", environment.load_before], ["load after", environment.load_after],
    ["stolen by the hypervisor", percent(environment.stolen_percent)],
    ["tool", `${data.tool.name} ${data.tool.version}`], ["seed", method.seed], ["probes", method.probes.join(", ")],
  ]), el("p", { class: "mono small" }, clean(method.command.join(" "))),
  data.columns.map((column, at) => el("p", { class: "small" },
    el("span", { class: "soft" }, labels[at] + ": "), el("span", { class: "mono" }, clean(column.source.join(" "))),
    column.tracer_cpu_percent === null ? null
      : el("span", { class: "soft" }, `; tracing took ${percent(column.tracer_cpu_percent)} of a CPU`))));
}
