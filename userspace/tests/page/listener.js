// Stands before everything else: hears all errors.
window.problems = [];
addEventListener("error", (event) => problems.push(event.message || "a resource did not load"), true);
addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => problems.push(event.violatedDirective));
for (const kind of ["error", "warn"]) console[kind] = (...words) => problems.push(words.join(" "));
window.alert = (words) => problems.push("alert " + words);
