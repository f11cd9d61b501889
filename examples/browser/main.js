import { directory, fetched, open, zipped } from "./bundle.js";
import { Chain } from "./chain.js";
import { lastExit } from "./policy.js";

const byId = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);

async function start() {
  const address = asked.get("bundle") ?? "bundle.zip";
  const read = address.endsWith("/") ? directory(address) : zipped(await fetched(address));
  const bundle = await open(read);
  const { manifest, labels } = bundle;
  const { keys, truths } = JSON.parse(new TextDecoder().decode(await fetched("images.json")));
  const pixels = await fetched("images.bin");
  const size = manifest.input.shape.reduce((a, b) => a * b);
  const image = (i) => pixels.subarray(i * size, (i + 1) * size);
  const chain = await Chain.open(bundle, asked.get("runtime") ?? "node_modules/@litertjs/core/wasm/");

  const points = new Map([["the bundle's policy", manifest.policy]]);
  for (const [name, policy] of Object.entries(manifest.operating_points ?? {})) {
    points.set(name, policy);
  }
  points.set("to the last exit", lastExit(manifest.policy));
  for (const name of points.keys()) byId("point").add(new Option(name));
  keys.forEach((key, i) => byId("image").add(new Option(`${i}: ${key}`, i)));

  const classify = (i, point) => chain.classify(image(i), points.get(point));
  let turn = 0;
  async function show() {
    const mine = ++turn;
    const i = Number(byId("image").value);
    draw(byId("pixels"), image(i), manifest.input.shape);
    const said = await classify(i, byId("point").value);
    if (mine !== turn) return;
    byId("label").textContent = said.label;
    byId("truth").textContent = truths[i];
    byId("exit").textContent = `${said.exit} of 0 to ${manifest.policy.enabled.length - 1}`;
    byId("ms").textContent = `${said.ms.toFixed(3)} ms`;
    byId("sure").textContent = `${(100 * said.probabilities[said.index]).toFixed(1)} %`;
    document.body.dataset.shown = `${i} ${byId("point").value}`;
  }
  byId("image").onchange = byId("point").onchange = () => show().catch(fail);
  byId("next").onclick = () => {
    byId("image").value = (Number(byId("image").value) + 1) % keys.length;
    show().catch(fail);
  };
  byId("title").textContent = `${manifest.name}: ${labels.length} classes, ${keys.length} test images`;
  // For the console, and for the test, which asks for every image.
  window.demo = { classify, points: [...points.keys()], images: keys.length };
  await classify(0, "to the last exit"); // Loads all segments: the first times are fair.
  await show();
  byId("controls").disabled = false;
}

function draw(canvas, pixels, [height, width, channels]) {
  [canvas.height, canvas.width] = [height, width];
  const data = new Uint8ClampedArray(height * width * 4);
  for (let i = 0; i < height * width; i++) {
    for (let c = 0; c < 3; c++) data[4 * i + c] = pixels[i * channels + (channels === 3 ? c : 0)];
    data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
}

function fail(error) {
  byId("error").textContent = String(error.message ?? error);
  byId("error").hidden = false;
}

start().catch(fail);
