const TITLES = {
  bundle: "The bundle’s policy",
  threshold: "One threshold for all exits",
  budget: "The papers’ rule for a budget",
};

// The sliders, and all that moves with them.

class Explorer {
  constructor(routing, packed, gallery) {
    this.routing = routing;
    this.packed = packed;
    this.gallery = gallery;
    this.sliders = {};
    for (const name of ["threshold", "budget"]) {
      const slider = document.getElementById(name);
      if (!slider) continue;
      this.sliders[name] = slider;
      // By the cost of each position the other slider follows.
      slider.costs = packed.policies[name].map(
          (policy) => routing.cost(policy.bars));
      slider.addEventListener("input", () => this.later(name));
    }
    this.reset = document.getElementById("reset");
    this.reset?.addEventListener("click", () => {
      this.show("bundle", 0);
      // The button is gone, and the keyboard must be somewhere.
      Object.values(this.sliders)[0]?.focus();
    });
    this.confusion = new Confusion(routing, packed.names);
    this.show("bundle", 0);
  }

  // Dragging reports more positions than a screen can show.
  later(name) {
    if (!this.waiting) requestAnimationFrame(() => {
      this.waiting = false;
      this.show(this.moved, Number(this.sliders[this.moved].value));
    });
    this.waiting = true;
    this.moved = name;
  }

  show(name, place) {
    const policy = this.packed.policies[name][place];
    const taken = this.routing.taken(policy.bars);
    const outcome = this.routing.outcome(taken);
    this.follow(name, place, outcome);
    this.state(name, policy, outcome);
    this.leave(policy, outcome);
    this.point(name, policy, outcome);
    this.confusion.show(outcome);
    this.gallery.show(taken, policy, outcome);
  }

  // The sliders that were not moved go where the cost is the nearest.
  follow(name, place, outcome) {
    for (const [other, slider] of Object.entries(this.sliders)) {
      const mine = other === name;
      if (!mine) {
        const off = slider.costs.map((cost) => Math.abs(cost - outcome.madds));
        place = off.indexOf(Math.min(...off));
        slider.value = place;
      }
      slider.closest(".control").classList.toggle("idle", !mine);
      const text = this.named(other, this.packed.policies[other][slider.value]);
      document.getElementById(`${other}-value`).textContent = text;
      slider.setAttribute("aria-valuetext", mine
          ? `${text}: ${percent(outcome.accuracy)} right with `
            + `${quantity(outcome.madds)} multiply-adds`
          : text);
    }
    if (this.reset) this.reset.hidden = name === "bundle";
  }

  named(name, policy) {
    if (name === "threshold") return sure(policy.thresholds[0]);
    return `${quantity(policy.fitted.budget)} multiply-adds`;
  }

  state(name, policy, outcome) {
    fill("setting", TITLES[name]);
    fill("now-accuracy", percent(outcome.accuracy), outcome.accuracy);
    fill("now-interval", interval(outcome.accuracy, this.routing.images));
    fill("now-madds", quantity(outcome.madds), outcome.madds);
    const last = this.packed.unsplit_madds;
    fill("now-share", percent(outcome.madds / last, 1));
    if (outcome.milliseconds !== null) {
      fill("now-milliseconds", outcome.milliseconds.toFixed(4),
           outcome.milliseconds);
    }
    const {thresholds, enabled, fitted} = policy;
    const stated = {...this.packed.common, thresholds, enabled};
    if (Object.keys(fitted).length) stated.fitted = fitted;
    fill("policy", JSON.stringify(stated, null, 2));
  }

  leave(policy, outcome) {
    document.querySelectorAll("#leave tbody tr").forEach((row, k) => {
      const [, bar, share, images, wrong, threshold] = row.cells;
      bar.firstElementChild.hidden = !outcome.counts[k];
      bar.firstElementChild.style.width = `${100 * outcome.shares[k]}%`;
      put(share, percent(outcome.shares[k]), outcome.shares[k]);
      put(images, outcome.counts[k].toLocaleString("en"), outcome.counts[k]);
      put(wrong, outcome.wrong[k].toLocaleString("en"), outcome.wrong[k]);
      const last = k === this.routing.exits - 1;
      threshold.textContent = last ? "–" : !policy.enabled[k] ? "not used"
          : sure(policy.thresholds[k]);
      threshold.title = policy.thresholds[k];
    });
  }

  point(name, policy, outcome) {
    const bars = policy.thresholds.slice(0, -1).map((threshold, k) =>
        policy.enabled[k] ? sure(threshold) : "unused");
    const range = interval(outcome.accuracy, this.routing.images);
    const text = `${TITLES[name]}<br>thresholds ${bars.join(", ")}`
        + `<br>${range} (95 %, ${this.routing.images} images)`;
    for (const [id, cost] of [["accuracy-madds", outcome.madds],
                              ["accuracy-latency", outcome.milliseconds]]) {
      const element = document.querySelector(`#${id} .plot`);
      const trace = element?.data.findIndex(
          (each) => each.name === this.packed.setting);
      if (cost === null || !(trace >= 0)) continue;
      Plotly.restyle(element, {
        x: [[cost]], y: [[100 * outcome.accuracy]], hovertext: [[text]],
      }, [trace]);
    }
  }
}

// Up to so many classes the whole matrix is shown, else the most frequent
// mistakes.
const MATRIX = 20, MISTAKES = 15;

class Confusion {
  constructor(routing, names) {
    this.routing = routing;
    this.names = names;
    this.table = document.getElementById("confusion-table");
    if (routing.classes > MATRIX) return;
    const head = this.table.createTHead().insertRow();
    head.append(cell("td", ""),
                ...names.map((name) => cell("th", name, {scope: "col"})));
    const body = this.table.createTBody();
    this.cells = names.map((name) => {
      const row = body.insertRow();
      row.append(cell("th", name, {scope: "row"}));
      return names.map(() => row.appendChild(cell("td", "")));
    });
  }

  show({confusion}) {
    if (this.cells) this.matrix(confusion);
    else this.list(confusion);
  }

  matrix(confusion) {
    const {classes} = this.routing;
    this.cells.forEach((row, label) => {
      const counts = row.map(
          (_, answer) => confusion.get(label * classes + answer) || 0);
      const all = counts.reduce((sum, count) => sum + count, 0) || 1;
      row.forEach((td, answer) => {
        const count = counts[answer];
        td.textContent = count || "·";
        td.className = label === answer ? "right" : count ? "mistake" : "none";
        td.style.setProperty("--share", count / all);
      });
    });
  }

  list(confusion) {
    const {classes} = this.routing;
    const mistakes = [...confusion]
        .map(([pair, count]) =>
            ({label: Math.floor(pair / classes), answer: pair % classes, count}))
        .filter(({label, answer}) => label !== answer)
        .sort((a, b) => b.count - a.count || a.label - b.label
              || a.answer - b.answer);
    const rows = mistakes.slice(0, MISTAKES).map(({label, answer, count}) => {
      const row = document.createElement("tr");
      row.append(cell("th", this.names[label], {scope: "row"}),
                 cell("td", this.names[answer]), cell("td", count));
      return row;
    });
    const head = document.createElement("tr");
    head.append(...["label", "answer", "images"].map(
        (name) => cell("th", name, {scope: "col"})));
    this.table.replaceChildren(document.createElement("thead"),
                               document.createElement("tbody"));
    this.table.tHead.append(head);
    this.table.tBodies[0].append(...rows);
  }
}

function cell(tag, text, attributes = {}) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.textContent = text;
  return made;
}

// Shows a number, and keeps its exact value.
function put(element, text, value) {
  element.textContent = text;
  element.dataset.value = value;
}

function fill(id, text, value) {
  const element = document.getElementById(id);
  if (!element) return;
  if (value === undefined) element.textContent = text;
  else put(element, text, value);
}
