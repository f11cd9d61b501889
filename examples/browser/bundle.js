// Reads a bundle, from its directory or its zip, and checks it by the manifest.

/** Gives files of a directory, by its address, which ends with a slash. */
export function directory(address) {
  return async (file) => fetched(address + encodeURIComponent(file));
}

/** Gives files of a bundle.zip; they are stored, not deflated. */
export function zipped(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw new Error("The bundle must be a zip archive.");
  const places = new Map();
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    const [name, extra, comment] = [28, 30, 32].map((k) => view.getUint16(at + k, true));
    const key = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + name));
    if (view.getUint16(at + 10, true) !== 0) {
      throw new Error(`${key} must be stored, not compressed.`);
    }
    places.set(key, [view.getUint32(at + 42, true), view.getUint32(at + 24, true)]);
    at += 46 + name + extra + comment;
  }
  return async (file) => {
    if (!places.has(file)) throw new Error(`The bundle has no file ${file}.`);
    const [header, size] = places.get(file);
    const start =
      header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
    return bytes.subarray(start, start + size);
  };
}

export async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Returns manifest, labels, and a reader of segments. */
export async function open(read) {
  const manifest = JSON.parse(new TextDecoder().decode(await read("manifest.json")));
  if (manifest.format_version !== 2) {
    throw new Error(`format_version must be 2. Received: ${manifest.format_version}`);
  }
  async function content(facts) {
    const bytes = await read(facts.file);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const found = [...hash].map((each) => each.toString(16).padStart(2, "0")).join("");
    if (bytes.length !== facts.bytes || found !== facts.sha256) {
      throw new Error(`${facts.file} must be as the manifest says. Received: ${found}`);
    }
    return bytes;
  }
  const labels = new TextDecoder().decode(await content(manifest.labels));
  return { manifest, labels: labels.replace(/\n$/, "").split("\n"), content };
}
