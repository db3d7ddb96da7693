// Stands behind everything else: tells what there is to be seen.
(() => {
  document.querySelectorAll("button").forEach((button) => {
    if (button.textContent.startsWith("all ")) button.click();
  });
  document.querySelectorAll("svg.none, section svg").forEach((plot) => plot.dispatchEvent(new PointerEvent("pointermove", { clientX: 200, clientY: 100 })));
  const rgb = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map((part) => {
    const share = part / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const light = (colour) => { const [r, g, b] = rgb(colour); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const style = getComputedStyle(document.body);
  const [ink, paper] = [light(style.color), light(style.backgroundColor)];
  const rows = {};
  document.querySelectorAll("section").forEach((section) => {
    rows[section.id] = [...section.querySelectorAll("tr[data-k]")].map((row) => ({
      key: row.dataset.k,
      numbers: [...row.children].filter((cell) => cell.dataset.v !== undefined || (cell.textContent === "\u2013" && !cell.className)).map((cell) => (cell.dataset.v === undefined ? null : Number(cell.dataset.v))),
    }));
  });
  const wide = [...document.querySelectorAll("main *, header *")].filter((node) => node.getBoundingClientRect().right > innerWidth + 1 && !node.closest(".wide") && !node.closest("svg"));
  const sizes = [...document.querySelectorAll("svg text")].map((text) => 11 * text.getScreenCTM().a);
  const points = [...document.querySelectorAll("svg [points], svg [x1], svg [cx]")].filter((shape) => [...shape.attributes].some((it) => /NaN|Infinity/.test(it.value)));
  const seen = {
    problems, rows, dark: matchMedia("(prefers-color-scheme: dark)").matches, width: innerWidth, scroll: document.documentElement.scrollWidth,
    wide: wide.slice(0, 3).map((node) => node.outerHTML.slice(0, 120)),
    contrast: (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05),
    lines: document.querySelectorAll("polyline").length, small: Math.min(...sizes), broken: points.map((shape) => shape.outerHTML.slice(0, 120)),
    parts: [...document.querySelectorAll("#anatomy [data-part]")].map((part) => Number(part.dataset.v)),
    text: document.body.innerText.slice(0, 4000),
  };
  const plain = JSON.stringify(seen).replace(/[&<>\u00a0]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
  parent.postMessage(plain, "*");
})();
