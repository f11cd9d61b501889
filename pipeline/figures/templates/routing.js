// Routes the test images by thresholds, with the results of Python's
// keras_dynamic.exits; see pipeline/pages/rerouting.py.

function unpacked(text, bits) {
  const bytes = Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0));
  // Little-endian, as what runs browsers is.
  return bits === 8 ? bytes : new Uint16Array(bytes.buffer);
}

class Routing {
  constructor(packed) {
    this.images = packed.images;
    this.exits = packed.exits;
    this.classes = packed.classes;
    this.madds = packed.madds;
    this.milliseconds = packed.milliseconds;
    this.labels = unpacked(packed.labels, packed.answer_bits);
    const rows = (all) => Array.from({length: this.exits}, (_, k) =>
        all.subarray(k * this.images, (k + 1) * this.images));
    this.answers = rows(unpacked(packed.answers, packed.answer_bits));
    this.ranks = rows(unpacked(packed.ranks, 16));
  }

  // The first exit at which an image's rank reaches the bar, of each image.
  taken(bars) {
    const found = new Uint8Array(this.images).fill(this.exits - 1);
    for (let k = this.exits - 2; k >= 0; k--) {
      const ranks = this.ranks[k], bar = bars[k];
      for (let i = 0; i < found.length; i++) {
        if (ranks[i] >= bar) found[i] = k;
      }
    }
    return found;
  }

  // Mean multiply-adds under these bars.
  cost(bars) {
    const counts = new Array(this.exits).fill(0);
    for (const exit of this.taken(bars)) counts[exit]++;
    return this.mean(counts, this.madds);
  }

  // What that gives. Sums are of integers, and so exact.
  outcome(taken) {
    const counts = new Array(this.exits).fill(0);
    const wrong = new Array(this.exits).fill(0);
    // Images by label and answer.
    const confusion = new Map();
    for (let i = 0; i < taken.length; i++) {
      const label = this.labels[i], answer = this.answers[taken[i]][i];
      counts[taken[i]]++;
      if (answer !== label) wrong[taken[i]]++;
      const pair = label * this.classes + answer;
      confusion.set(pair, (confusion.get(pair) || 0) + 1);
    }
    const mistakes = wrong.reduce((sum, n) => sum + n, 0);
    return {
      counts, wrong, confusion,
      shares: counts.map((count) => count / this.images),
      accuracy: (this.images - mistakes) / this.images,
      madds: this.mean(counts, this.madds),
      milliseconds: this.milliseconds && this.mean(counts, this.milliseconds),
    };
  }

  mean(counts, costs) {
    return counts.reduce((sum, count, k) => sum + count * costs[k], 0)
        / this.images;
  }
}

function percent(share, digits = 2) {
  return `${(100 * share).toFixed(digits)} %`;
}

// Four digits, also of the difference to 1: see figures/page.py.
function sure(number) {
  const missing = 1 - number;
  if (missing <= 0 || missing >= 0.001) return String(Number(number.toPrecision(4)));
  return `1 − ${Number(missing.toPrecision(2)).toExponential().replace("-", "−")}`;
}

// What the share of so many images tells of all, as results/wilson.py has it.
function interval(share, images) {
  const z = 1.959963984540054, squared = z * z / images;
  const room = z * Math.sqrt(share * (1 - share) / images
                             + squared / (4 * images));
  const [low, high] = [-1, 1].map(
      (side) => (share + squared / 2 + side * room) / (1 + squared));
  const [from, to] = [Math.max(0, low), Math.min(1, high)];
  return `${(100 * from).toFixed(1)} to ${(100 * to).toFixed(1)} %`;
}

// Three digits and a unit, such as "1.23 M".
function quantity(number, digits = 3) {
  for (const unit of ["", " k", " M", " G"]) {
    if (number < 999.5) return Number(number.toPrecision(digits)) + unit;
    number /= 1000;
  }
  return `${Number(number.toPrecision(digits))} T`;
}
