"use strict";
// Colour the lines of a diff. Only text is ever made of what a student wrote.
function colour(pre) {
  const kinds = { "+": "add", "-": "del", "@": "head" };
  let aboutFile = false;  // its lines begin with + and - too, and are no lines of the file
  const lines = pre.textContent.split("\n").map((line) => {
    if (line.startsWith("diff ")) aboutFile = true;
    if (line.startsWith("@")) aboutFile = false;
    const span = document.createElement("span");
    span.className = aboutFile ? "head" : kinds[line[0]] || "";
    span.textContent = line + "\n";
    return span;
  });
  pre.replaceChildren(...lines);
  pre.dataset.done = "";
}
// What is closed is drawn when it is opened: a class has many diffs.
document.addEventListener("toggle", (event) => {
  for (const pre of event.target.querySelectorAll(".diff:not([data-done])")) {
    if (pre.dataset.solution) {
      const whole = document.getElementById("solution-" + pre.dataset.solution);
      pre.textContent = whole.querySelector(".diff").textContent;
    }
    colour(pre);
  }
}, true);
// A mark leads into what may be closed.
function show() {
  const there = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const closed = there && there.closest("details");
  if (closed) { closed.open = true; there.scrollIntoView(); }
}
addEventListener("hashchange", show);
show();
