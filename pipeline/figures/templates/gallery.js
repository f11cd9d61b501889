// How many images an exit shows, and how many mistakes among them.
const SHOWN = 24, WRONG = 8;

// The images, by the exit at which they leave; a click shows what each exit
// says of one.

class Gallery {
  constructor(packed) {
    this.packed = packed;
    // By the index of the image.
    this.samples = new Map(packed.samples.map((each) => [each.index, each]));
    this.dialog = document.getElementById("image");
    this.tiles = [...document.querySelectorAll("[data-sample]")];
    for (const tile of this.tiles) {
      tile.addEventListener("click", () => this.open(tile));
    }
    this.dialog.addEventListener("keydown", (event) => {
      const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
      if (step) this.go(step);
    });
    document.getElementById("previous").onclick = () => this.go(-1);
    document.getElementById("next").onclick = () => this.go(1);
    document.getElementById("close").onclick = () => this.dialog.close();
    // A click beside it closes it, too.
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    this.dialog.addEventListener("close", () => this.tile?.focus());
  }

  sample(tile) {
    return this.samples.get(Number(tile.dataset.sample));
  }

  show(taken, policy, outcome) {
    this.taken = taken;
    this.policy = policy;
    const rows = outcome.counts.map(() => []);
    for (const tile of this.tiles) {
      const sample = this.sample(tile), exit = taken[sample.index];
      const wrong = sample.answers[exit] !== sample.label;
      const name = this.packed.names;
      tile.classList.toggle("wrong", wrong);
      tile.querySelector(".said").textContent = wrong
          ? `says ${name[sample.answers[exit]]}, is ${name[sample.label]}`
          : name[sample.label];
      tile.querySelector(".sure").textContent =
          certainty(sample.confidences[exit]);
      rows[exit].push({tile, wrong, sure: sample.confidences[exit]});
    }
    rows.forEach((row, k) => {
      const shown = this.some(row);
      const section = document.getElementById(`exit-${k}`);
      section.querySelector(".samples").replaceChildren(
          ...shown.map(({tile}) => tile.parentElement));
      section.querySelector(".note").textContent = this.note(
          shown.length, outcome.counts[k], outcome.wrong[k], policy.enabled[k],
          rows.length > 1);
    });
  }

  // The surest, the least sure, and mistakes, if there are many.
  some(row) {
    row.sort((a, b) => b.sure - a.sure);
    const wrong = row.filter((each) => each.wrong).slice(0, WRONG);
    const right = row.filter((each) => !each.wrong);
    const left = SHOWN - wrong.length, half = Math.ceil(left / 2);
    if (right.length > left) right.splice(half, right.length - left);
    return [...right, ...wrong];
  }

  note(shown, images, wrong, enabled, several) {
    if (!enabled) return "The policy does not use this exit.";
    if (!images) return "No test image leaves here.";
    const count = (number) => number.toLocaleString("en");
    const which = several
        ? `${count(images)} of ${count(this.taken.length)} test images leave here`
        : `${count(images)} test images`;
    const all = `${which}, ${count(wrong)} with a wrong answer.`;
    return shown === images ? all
        : `${all} ${shown} are shown: sure ones, unsure ones and mistakes.`;
  }

  // In the order of the page.
  go(step) {
    const tiles = [...document.querySelectorAll("[data-sample]")];
    const at = tiles.indexOf(this.tile) + step;
    this.open(tiles[(at + tiles.length) % tiles.length]);
  }

  open(tile) {
    this.tile = tile;
    const sample = this.sample(tile), exit = this.taken[sample.index];
    const names = this.packed.names;
    const answer = sample.answers[exit];
    const picture = tile.querySelector("img");
    const shown = document.getElementById("image-picture");
    shown.src = picture.src;
    shown.alt = picture.alt;
    shown.className = picture.className;
    fill("image-title", `Label: ${names[sample.label]}`);
    fill("image-key", sample.key);
    fill("image-answer", `Leaves at exit ${exit} as “${names[answer]}”, `
        + `${answer === sample.label ? "which is right" : "which is wrong"}.`);
    this.probabilities(sample, exit);
    if (!this.dialog.open) this.dialog.showModal();
  }

  probabilities(sample, exit) {
    const exits = [...sample.answers.keys()];
    const row = (title, cells) => {
      const made = document.createElement("tr");
      made.append(cell("th", title, {scope: "row"}), ...cells);
      return made;
    };
    const head = document.createElement("tr");
    head.append(cell("th", "class", {scope: "col"}), ...exits.map((k) =>
        cell("th", `exit ${k}`, {scope: "col",
                                 className: k > exit ? "unrun" : ""})));
    const rows = sample.classes.map((each, i) => {
      const made = row(this.packed.names[each], exits.map((k) => {
        const share = sample.probabilities[k][i];
        const td = cell("td", certainty(share),
                        {className: k > exit ? "share unrun" : "share"});
        td.style.setProperty("--share", share);
        if (each === sample.answers[k]) td.classList.add("top");
        return td;
      }));
      if (each === sample.label) made.className = "label";
      return made;
    });
    const after = (k) => (k > exit ? "unrun" : "");
    const numbers = (values, known) => exits.map((k) => cell("td",
        known(k) ? sure(values[k]) : "–",
        {className: after(k), title: known(k) ? values[k] : ""}));
    const used = (k) => this.policy.enabled[k] && k < exits.length - 1;
    const verdicts = exits.map((k) => cell("td",
        k > exit ? "not run" : k === exit ? "stops" : "goes on",
        {className: after(k)}));
    const foot = [
      row("score", numbers(sample.scores, () => true)),
      row("threshold", numbers(this.policy.thresholds, used)),
      row("then", verdicts),
    ];
    const table = document.getElementById("probabilities");
    table.tHead.replaceChildren(head);
    table.tBodies[0].replaceChildren(...rows);
    table.tFoot.replaceChildren(...foot);
  }
}

// No exit is ever quite sure.
function certainty(share) {
  return share < 1 && share > 0.9995 ? "> 99.9 %" : percent(share, 1);
}
