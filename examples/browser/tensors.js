// Reads type, shape and quantization of a model's tensors: LiteRT.js hides them.

const FLOAT32 = 0; // TensorType of the TFLite schema.
const INT8 = 9;
const BYTES = { [FLOAT32]: 4, [INT8]: 1 };

/** Returns the signature's outputs by name: { float, count, scale, zeroPoint }. */
export function outputs(model) {
  const view = new DataView(model.buffer, model.byteOffset, model.byteLength);
  const follow = (at) => at + view.getUint32(at, true);
  /** Where field k of a table is; 0 if it is absent. */
  const field = (table, k) => {
    const vtable = table - view.getInt32(table, true);
    if (4 + 2 * k >= view.getUint16(vtable, true)) return 0;
    const offset = view.getUint16(vtable + 4 + 2 * k, true);
    return offset && table + offset;
  };
  const child = (table, k) => field(table, k) && follow(field(table, k));
  const length = (vector) => (vector ? view.getUint32(vector, true) : 0);
  const table = (vector, i) => follow(vector + 4 + 4 * i);
  const number = (table, k) => (field(table, k) ? view.getUint32(field(table, k), true) : 0);
  const root = follow(0);
  const signature = table(child(root, 7), 0);
  const graph = table(child(root, 2), number(signature, 4));
  const maps = child(signature, 1);
  const found = new Map();
  for (let i = 0; i < length(maps); i++) {
    const map = table(maps, i);
    const text = child(map, 0);
    const name = new TextDecoder().decode(
      new Uint8Array(model.buffer, model.byteOffset + text + 4, length(text)),
    );
    const tensor = table(child(graph, 0), number(map, 1));
    const type = field(tensor, 1) ? view.getInt8(field(tensor, 1)) : FLOAT32;
    if (!(type in BYTES)) throw new Error(`${name} must be int8 or float32. Received: ${type}`);
    const shape = child(tensor, 0);
    let count = 1;
    for (let k = 0; k < length(shape); k++) count *= view.getInt32(shape + 4 + 4 * k, true);
    const quantization = child(tensor, 4);
    const scales = quantization && child(quantization, 2);
    const zeros = quantization && child(quantization, 3);
    found.set(name, {
      float: type === FLOAT32,
      bytes: count * BYTES[type],
      scale: length(scales) ? view.getFloat32(scales + 4, true) : 1,
      zeroPoint: length(zeros) ? Number(view.getBigInt64(zeros + 4, true)) : 0,
    });
  }
  return found;
}

/** Returns the numbers that an exit's bytes stand for. */
export function numbers(bytes, { float, scale, zeroPoint }) {
  if (float) return Array.from(new Float32Array(bytes.slice().buffer));
  return Array.from(new Int8Array(bytes.slice().buffer), (q) => scale * (q - zeroPoint));
}
