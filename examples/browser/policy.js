// Decides at which exit an image stops, as keras_dynamic.exits does.

/** Adds numbers in the order in which numpy does: it decides the last bit. */
export function sum(values, start = 0, count = values.length) {
  if (count < 8) {
    let total = 0;
    for (let i = 0; i < count; i++) total += values[start + i];
    return total;
  }
  if (count > 128) {
    const half = Math.floor(count / 16) * 8;
    return sum(values, start, half) + sum(values, start + half, count - half);
  }
  const r = values.slice(start, start + 8);
  let i = 8;
  for (; i + 8 <= count; i += 8) {
    for (let j = 0; j < 8; j++) r[j] += values[start + i + j];
  }
  let total = r[0] + r[1] + (r[2] + r[3]) + (r[4] + r[5] + (r[6] + r[7]));
  for (; i < count; i++) total += values[start + i];
  return total;
}

export function softmax(logits, temperature) {
  const top = Math.max(...logits);
  const weights = Array.from(logits, (x) => Math.exp((x - top) / temperature));
  const total = sum(weights);
  return weights.map((each) => each / total);
}

const MEASURES = {
  max_probability: (p) => Math.max(...p),
  margin(p) {
    const [first, second = 0] = [...p].sort((a, b) => b - a);
    return first - second;
  },
  entropy(p) {
    if (p.length === 1) return p[0];
    const terms = p.map((x) => x * Math.log(Math.max(x, 2 ** -1022)));
    return Math.max(0, 1 + sum(terms) / Math.log(p.length));
  },
};
export const KINDS = [...Object.keys(MEASURES), "patience"];

/** Follows one image from exit to exit. */
export class Decision {
  constructor(policy) {
    if (!KINDS.includes(policy.kind)) {
      throw new Error(`policy.kind must be one of ${KINDS}. Received: ${policy.kind}`);
    }
    this.policy = policy;
    this.last = -1; // The class of the exit before, and for how many.
    this.agreeing = 0;
  }

  /** Returns what an exit says: class, probabilities, and whether to stop. */
  step(exit, logits) {
    const { kind, temperatures, thresholds, enabled } = this.policy;
    const probabilities = softmax(logits, temperatures[exit]);
    const index = probabilities.indexOf(Math.max(...probabilities));
    this.agreeing = index === this.last ? this.agreeing + 1 : 1;
    this.last = index;
    const score =
      kind === "patience" ? 1 - 1 / this.agreeing : MEASURES[kind](probabilities);
    return { index, probabilities, stops: enabled[exit] && score >= thresholds[exit] };
  }
}

/** Lets every image go to the last exit. */
export function lastExit(policy) {
  const last = policy.temperatures.length - 1;
  return {
    kind: "max_probability",
    temperatures: policy.temperatures,
    thresholds: policy.temperatures.map((_, k) => (k === last ? 0 : 1)),
    enabled: policy.temperatures.map((_, k) => k === last),
  };
}
