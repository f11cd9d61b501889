// Draws the figures in the colours of the page, which may be light or dark.
function draw() {
  const page = getComputedStyle(document.body);
  for (const element of document.querySelectorAll("[data-figure]")) {
    const {data, layout} = element.data
        ? {data: element.data, layout: element.layout}
        : JSON.parse(element.dataset.figure);
    layout.font = {color: page.color, family: page.fontFamily, size: 13};
    Plotly.react(element, data, layout,
                 {responsive: true, displayModeBar: false});
  }
  document.querySelectorAll("[data-series]").forEach(show);
}

// Shows or hides a line, in all the figures that the box belongs to.
function show(box) {
  for (const element of box.closest(".curves").querySelectorAll(".plot")) {
    const traces = [...element.data.keys()].filter(
        (i) => element.data[i].legendgroup === box.dataset.series);
    if (traces.length) {
      Plotly.restyle(element, {visible: box.checked}, traces);
    }
  }
}

function fit(part) {
  for (const element of part.querySelectorAll("[data-figure]")) {
    // What is not shown has no width.
    if (element.offsetParent) Plotly.Plots.resize(element);
  }
}

draw();
for (const box of document.querySelectorAll("[data-series]")) {
  box.addEventListener("change", () => show(box));
}
// What was drawn in a closed part has no width yet.
for (const details of document.querySelectorAll("details")) {
  details.addEventListener("toggle", () => fit(details));
}
window.matchMedia("(prefers-color-scheme: dark)")
    .addEventListener("change", draw);

// Paper is white, narrow, and cannot be unfolded.
let folded = [];
window.addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open], .screen)")];
  folded.forEach((details) => { details.open = true; });
  document.documentElement.classList.add("paper");
  draw();
  fit(document);
});
window.addEventListener("afterprint", () => {
  folded.forEach((details) => { details.open = false; });
  document.documentElement.classList.remove("paper");
  draw();
  fit(document);
});
