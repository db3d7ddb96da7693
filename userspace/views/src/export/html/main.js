// Which page it is.

const data = JSON.parse(document.getElementById("data").textContent);

function theme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

document.getElementById("theme").addEventListener("click", theme);
const pages = { "pulse-trace/1": showSession, "pulse-trace-comparison/1": showComparison };
(pages[data.schema] || (() => heading("cannot show this: unknown schema " + data.schema)))(data);
notes(JSON.parse(document.getElementById("findings").textContent), "finding")
  .forEach((note) => document.querySelector("header").append(note));
notes(JSON.parse(document.getElementById("remarks").textContent))
  .forEach((note) => document.querySelector("header").append(note));
document.getElementById("save").addEventListener("click", () => {
  const blob = new Blob([document.getElementById("data").textContent], { type: "application/json" });
  const link = el("a", { href: URL.createObjectURL(blob), download: "pulse-trace.json" });
  link.click();
  URL.revokeObjectURL(link.href);
});
