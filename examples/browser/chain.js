// Runs a bundle's segments in WebAssembly; stops at the first exit that is sure.
//
// LiteRT.js 2.5.3 has no int8 among the types of its Tensor, and its CompiledModel
// refuses a model with int8 inputs or outputs. The WebAssembly module beneath runs
// such models: it is called here directly, as LiteRt.loadAndCompile calls it. That
// is no documented interface, so the version is pinned.

import { loadLiteRt } from "@litertjs/core";
import { Decision } from "./policy.js";
import { numbers, outputs } from "./tensors.js";

const ELEMENT = { float32: 1, int8: 9 }; // ElementType of LiteRT.

const names = (vector) => {
  const found = Array.from({ length: vector.size() }, (_, i) => vector.get(i));
  vector.delete();
  return found;
};

export class Chain {
  /** @param bundle as `open` of bundle.js gives it; @param runtime LiteRT's files. */
  static async open(bundle, runtime) {
    const litert = await loadLiteRt(runtime);
    return new Chain(bundle, litert);
  }

  constructor(bundle, litert) {
    this.bundle = bundle;
    this.wasm = litert.liteRtWasm;
    this.environment = litert.getDefaultEnvironment();
    this.loaded = [];
  }

  /** Loads a segment when an image first needs it. */
  async segment(place) {
    if (this.loaded[place]) return this.loaded[place];
    const { wasm, environment } = this;
    const bytes = await this.bundle.content(this.bundle.manifest.segments[place]);
    const pointer = wasm._malloc(bytes.length);
    wasm.HEAPU8.set(bytes, pointer);
    const model = wasm.loadModel(environment.liteRtEnvironment, pointer, bytes.length);
    const compiled = await wasm.compileModel(environment.liteRtEnvironment, model, {
      environment,
      accelerator: "wasm",
      cpuOptions: { numThreads: 1 },
      gpuOptions: {},
      webNNOptions: {},
    });
    const signature = model.getSignature(0);
    const loaded = {
      model,
      compiled,
      inputs: names(signature.inputNames()),
      outputs: names(signature.outputNames()),
      facts: outputs(bytes),
    };
    signature.delete();
    return (this.loaded[place] = loaded);
  }

  /** Returns a tensor's memory, filled with bytes. */
  buffer(type, bytes) {
    const made = this.wasm.LiteRtTensorBuffer.createManaged(
      this.environment.liteRtEnvironment,
      this.wasm.LiteRtTensorBufferType.HOST_MEMORY,
      type,
      bytes.length,
    );
    type.delete();
    this.wasm.HEAPU8.set(bytes, made.lock(this.wasm.LiteRtTensorBufferLockMode.WRITE));
    made.unlock();
    return made;
  }

  bytes(buffer) {
    const start = buffer.lock(this.wasm.LiteRtTensorBufferLockMode.READ);
    const found = this.wasm.HEAPU8.slice(start, start + buffer.packedSize());
    buffer.unlock();
    return found;
  }

  /** Returns the first segment's input: flipping a byte's top bit subtracts 128. */
  image(first, pixels) {
    const { dtype, scale, shape } = this.bundle.manifest.input;
    if (!(dtype in ELEMENT)) throw new Error(`input.dtype must be int8 or float32: ${dtype}`);
    const size = shape.reduce((a, b) => a * b);
    if (pixels.length !== size) {
      throw new Error(`An image must have ${size} bytes. Received: ${pixels.length}`);
    }
    const values =
      dtype === "int8"
        ? pixels.map((each) => each ^ 0x80)
        : new Uint8Array(
            Float32Array.from(pixels, (each) => each * Math.fround(scale)).buffer,
          );
    return this.buffer(first.model.getInputTensorType(0, 0), values);
  }

  /**
   * Classifies pixels, rows of pixels of channels, 0 to 255 each.
   *
   * Returns class, label, probabilities, exit, milliseconds, and each exit's
   * logits as the model gives them.
   */
  async classify(pixels, policy) {
    const decision = new Decision(policy);
    const { segments } = this.bundle.manifest;
    const values = new Map(); // By name: memory, and whether all of it is zero points.
    const used = [];
    const logits = [];
    const segmentMs = [];
    let ran = true;
    const keep = (name, buffer, skipped) => {
      values.set(name, { buffer, skipped });
      used.push(buffer);
    };
    try {
      const first = await this.segment(0);
      keep(segments[0].inputs[0], this.image(first, pixels), false);
      for (const [place, facts] of segments.entries()) {
        if (facts.bypass && ran) continue;
        const segment = await this.segment(place);
        const start = performance.now();
        ran = !facts.gate || this.opens(values.get(facts.gate));
        if (ran) {
          const given = segment.inputs.map((name) => values.get(name).buffer);
          const made = await segment.compiled.run(0, given);
          made.forEach((buffer, i) => {
            const { zeroPoint } = segment.facts.get(segment.outputs[i]);
            keep(segment.outputs[i], buffer, false);
            values.get(segment.outputs[i]).zeroPoint = zeroPoint;
          });
        } else {
          segment.outputs.forEach((name, i) => {
            const { bytes, float, zeroPoint } = segment.facts.get(name);
            const zeros = new Uint8Array(bytes).fill(float ? 0 : zeroPoint & 0xff);
            keep(name, this.buffer(segment.model.getOutputTensorType(0, i), zeros), true);
          });
        }
        segmentMs.push(performance.now() - start);
        if (facts.exit === null || facts.exit === undefined) continue;
        const name = facts.outputs[0];
        const bytes = this.bytes(values.get(name).buffer);
        logits.push([...bytes]);
        const said = decision.step(facts.exit, numbers(bytes, segment.facts.get(name)));
        if (said.stops) {
          return {
            index: said.index,
            label: this.bundle.labels[said.index],
            probabilities: said.probabilities,
            exit: facts.exit,
            segmentMs,
            ms: segmentMs.reduce((a, b) => a + b),
            logits,
          };
        }
      }
      throw new Error("The last exit must be enabled, and its threshold 0.");
    } finally {
      used.forEach((each) => each.delete());
    }
  }

  opens({ buffer, skipped, zeroPoint }) {
    if (skipped) return false;
    const bytes = this.bytes(buffer);
    if (bytes.length === 4) return new Float32Array(bytes.buffer)[0] !== 0;
    return new Int8Array(bytes.buffer)[0] !== zeroPoint;
  }

  close() {
    for (const each of this.loaded.filter(Boolean)) {
      each.compiled.delete();
      each.model.delete();
    }
    this.loaded = [];
  }
}
