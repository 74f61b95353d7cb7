// The page: what is chosen, what is shown, what is said.

import { finished } from "./blend.mjs";
import { startCamera } from "./camera.mjs";
import { Cancelled } from "./engine.mjs";
import { Gallery } from "./gallery.mjs";
import { decoded, put, Told } from "./pictures.mjs";
import { Item, Studio } from "./studio.mjs";
import { zipped } from "./zip.mjs";

const at = (id) => document.getElementById(id);
const studio = new Studio();
const gallery = new Gallery(at("grid"), at("chosen"), () => wish());
// Work on pictures up to this size ends soon enough for the next to wait; larger is cancelled.
const SHORT_WORK = 1_000_000;

let items = [];
let item = null;
let demo = null; // what the page begins with
let camera = null;
let wanted = 0; // of how many updates the last is the one that counts
let working = false;
let stopped = false;
let packing = false; // all pictures, for a zip

const settings = () => ({
  style: gallery.style,
  strokes: 2 ** (Number(at("strokes").value) / 2),
  strength: Number(at("strength").value) / 100,
  keepColors: at("colors").checked,
});

// What is said.

function say(text) {
  at("status").textContent = text;
}

function complain(text) {
  at("error").hidden = !text;
  at("error").textContent = text;
}

function explain(error) {
  if (error instanceof Told) return error.message;
  if (typeof WebAssembly !== "object") return "This browser has no WebAssembly, which computes here.";
  if (/memory|allocat|out of bounds|bad_alloc/i.test(error.message)) {
    return "The browser’s memory did not suffice for this picture; take a smaller one.";
  }
  return `It did not work: ${error.message.slice(0, 160)}`;
}

function showWork(text) {
  at("progress").hidden = !text;
  at("cancel").hidden = !text;
  at("cancel").textContent = "Stop";
  if (text) say(text);
}

// What is shown.

function frame(height, width, only) {
  at("frame").style.setProperty("--ratio", width / height);
  at("frame").classList.toggle("only", only);
}

function show({ height, width, photo, result }) {
  const { strength, keepColors } = settings();
  frame(height, width, false);
  put(at("before"), finished(photo, photo, 1, false), height, width);
  put(at("after"), finished(photo, result, strength, keepColors), height, width);
}

function showPhoto({ photo: { data, height, width } }) {
  frame(height, width, true);
  put(at("after"), finished(data, data, 1, false), height, width);
}

let drawing = 0;
function blend() {
  at("strength-shown").textContent = `${at("strength").value} %`;
  cancelAnimationFrame(drawing);
  drawing = requestAnimationFrame(() => item?.view && show(item.view));
}

// In words, for screen readers too.
function tellStrokes() {
  const times = settings().strokes;
  const word = times < 1 ? "finer" : "broader";
  const text = times === 1 ? "Automatic" : `${Math.max(times, 1 / times).toFixed(1)} times ${word}`;
  at("strokes-shown").textContent = text;
  at("strokes").setAttribute("aria-valuetext", text);
}

function describe() {
  const { photo } = item.source;
  const { style } = settings();
  say(`${style.title}, ${photo.width} × ${photo.height} pixels, in ${(item.ms / 1000).toFixed(1)} s.`);
  const [height, width] = item.painted;
  const notes = [];
  if (height < photo.height || width < photo.width) {
    notes.push(
      `Painted at ${width} × ${height} pixels, as many as a browser’s memory takes, and enlarged ` +
        "with the photograph’s detail.",
    );
  }
  if (item.source.isFirst) notes.push("Of the animation this is the first picture.");
  at("note").hidden = !notes.length;
  at("note").textContent = notes.join(" ");
  const { backend, threads } = studio.engine;
  const how = threads > 1 ? `, ${threads} threads` : "";
  at("backend").textContent =
    backend === "webgpu" ? "It runs on your GPU (WebGPU)." : `It runs on WebAssembly${how}.`;
}

// Painting: one picture at a time, the newest wish counts.

async function update() {
  if (camera || packing || !item || !gallery.style) return;
  wanted++;
  stopped = false;
  if (working) {
    if (item.source && item.pixels > SHORT_WORK) studio.engine.cancel();
    return;
  }
  working = true;
  let done = 0;
  while (done !== wanted && !stopped) {
    done = wanted;
    await paint(item);
  }
  working = false;
}

// Of what went wrong before nothing is said any more.
function wish() {
  complain("");
  return update();
}

async function paint(one) {
  const began = wanted;
  try {
    showWork(`Painting ${one.name} …`);
    const source = await one.decode();
    if (!one.view) showPhoto(source);
    await studio.paint(one, settings(), (step) => {
      if (began !== wanted || one !== item) return;
      show(step);
      say(`Painting ${one.name}: pass ${step.step + 1} of ${step.count} …`);
    });
    if (one !== item) return;
    showWork("");
    show(one.view);
    describe();
    at("pair").hidden = false;
  } catch (error) {
    showWork("");
    if (error instanceof Cancelled) return;
    if (error instanceof Told && !one.source) drop(one);
    say("");
    complain(explain(error));
  }
}

// A file that is no picture is taken off again.
function drop(one) {
  const place = items.indexOf(one);
  items = items.filter((other) => other !== one);
  URL.revokeObjectURL(one.address);
  if (item === one && items.length) choose(items[Math.min(place, items.length - 1)]);
  else if (item === one) beginAgain();
  strip();
}

function beginAgain() {
  item = demo;
  items = item ? [item] : [];
  if (item?.view) show(item.view);
  at("pair").hidden = !item?.result;
}

function stop() {
  if (camera) return camera.stop();
  if (at("cancel").textContent === "Start again") return wish();
  stopped = true;
  studio.engine.cancel();
  showWork("");
  say("Stopped.");
  at("cancel").hidden = false;
  at("cancel").textContent = "Start again";
  at("cancel").focus();
}

// Photographs.

async function choose(one) {
  item = one;
  if (camera) return camera.stop();
  at("note").hidden = true;
  at("pair").hidden = !one.result;
  if (one.view) show(one.view);
  strip();
  return update();
}

function strip() {
  const list = at("strip");
  list.hidden = at("all").hidden = items.length < 2;
  list.replaceChildren(
    ...items.map((one) => {
      const row = document.createElement("li");
      const button = document.createElement("button");
      const image = document.createElement("img");
      button.type = "button";
      button.setAttribute("aria-label", one.name);
      button.setAttribute("aria-current", String(one === item));
      button.addEventListener("click", () => {
        complain("");
        choose(one).then(() => button.focus());
      });
      one.address ??= URL.createObjectURL(one.file);
      Object.assign(image, { src: one.address, alt: "" });
      button.append(image);
      row.append(button);
      return row;
    }),
  );
}

async function take(files) {
  complain("");
  const all = [...files];
  const models = all.filter(({ name }) => /\.(onnx|ckpt|pth?|model)$/i.test(name));
  const photos = all.filter((file) => !models.includes(file));
  for (const file of models) await takeModel(file);
  if (!photos.length) return;
  const added = photos.map((file) => new Item(file));
  items = [...items.filter((one) => one !== demo), ...added];
  await choose(added[0]);
}

async function takeModel(file) {
  try {
    say(`Reading ${file.name} …`);
    const style = await gallery.add(file, async (one) => {
      try {
        await studio.engine.test(one);
      } catch (error) {
        if (error instanceof Cancelled) throw error;
        throw new Told(`${file.name} is no model of fastnst export.`);
      }
    });
    gallery.select(style);
    if (camera) say(LIVE);
    await update();
  } catch (error) {
    say("");
    if (!(error instanceof Cancelled)) complain(explain(error));
  }
}

// Downloads.

function give({ name, blob }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function download() {
  complain("");
  try {
    give(await studio.file(item, settings(), at("format").value));
  } catch (error) {
    if (!(error instanceof Cancelled)) complain(explain(error));
  }
}

async function downloadAll() {
  if (working) return;
  [packing, stopped] = [true, false];
  const now = settings();
  const inputs = [at("styles"), at("settings"), at("all"), at("choose")];
  for (const input of inputs) input.disabled = true;
  const files = [];
  const failed = [];
  for (const [place, one] of items.entries()) {
    if (stopped) break;
    showWork(`Painting ${place + 1} of ${items.length}: ${one.name} …`);
    try {
      files.push(unique(await studio.file(one, now, at("format").value), files));
    } catch (error) {
      if (!(error instanceof Cancelled)) failed.push(explain(error));
    }
  }
  for (const input of inputs) input.disabled = false;
  packing = false;
  if (!stopped) {
    showWork("");
    give({ name: `${now.style.name}.zip`, blob: await zipped(files) });
    say(`${files.length} of ${items.length} pictures are in the zip.`);
    complain(failed.join(" "));
  }
  if (!stopped && item.key !== studio.key(now)) await choose(item);
}

function unique({ name, blob }, files) {
  const [, stem, suffix] = /^(.*)(\.\w+)$/.exec(name);
  let found = name;
  for (let i = 2; files.some((file) => file.name === found); i++) found = `${stem}-${i}${suffix}`;
  return { name: found, blob };
}

// The photograph to begin with, painted beforehand: it is there before anything is computed.

async function demonstrate() {
  const [photograph, stylized] = await Promise.all(
    ["photograph", "stylized"].map(async (name) => (await fetch(`demo/${name}.jpg`)).blob()),
  );
  const first = new Item(photograph, "cat.jpg");
  const [source, result] = [await first.decode(), await decoded(stylized)];
  const { height, width, data } = source.photo;
  first.view = { height, width, photo: data, result: result.photo.data };
  demo = first;
  if (items.length) return;
  [items, item] = [[demo], demo];
  show(demo.view);
}

function listen() {
  at("choose").addEventListener("click", () => at("files").click());
  at("add").addEventListener("click", () => at("model").click());
  for (const id of ["files", "model"]) {
    at(id).addEventListener("change", ({ target }) => {
      const files = [...target.files];
      target.value = "";
      take(files);
    });
  }
  at("divider").addEventListener("input", ({ target }) => {
    at("frame").style.setProperty("--at", `${target.value}%`);
  });
  at("strength").addEventListener("input", blend);
  at("colors").addEventListener("change", blend);
  at("strokes").addEventListener("input", tellStrokes);
  at("strokes").addEventListener("change", wish);
  at("download").addEventListener("click", download);
  at("all").addEventListener("click", downloadAll);
  at("cancel").addEventListener("click", stop);
  document.addEventListener("paste", ({ clipboardData }) => {
    if (clipboardData?.files.length) take(clipboardData.files);
  });
  listenToDrops();
  listenToCamera();
}

function listenToDrops() {
  let depth = 0;
  const over = (change) => (event) => {
    event.preventDefault();
    depth = Math.max(0, depth + change);
    at("dropping").hidden = depth === 0;
  };
  document.addEventListener("dragenter", over(1));
  document.addEventListener("dragleave", over(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    over(-Infinity)(event);
    depth = 0;
    if (event.dataTransfer.files.length) take(event.dataTransfer.files);
  });
}

// The camera: while it runs, its picture is the page's.

function listenToCamera() {
  if (!navigator.mediaDevices?.getUserMedia) return;
  const button = at("camera");
  let asking = false;
  button.hidden = false;
  button.addEventListener("click", async () => {
    if (camera) return camera.take();
    if (asking || packing) return;
    asking = true;
    complain("");
    if (working) studio.engine.cancel();
    try {
      camera = await startCamera(at("video"), studio.engine, {
        settings, show, ended: endCamera, started: cameraStarted, told: tellOfCamera,
      });
    } catch (error) {
      complain(explain(error));
    }
    asking = false;
  });
}

const LIVE = "The camera, painted as it comes. Nothing is recorded.";

function cameraStarted() {
  at("camera").lastElementChild.textContent = "Take the picture";
  at("pair").hidden = at("all").hidden = at("note").hidden = at("progress").hidden = true;
  at("cancel").hidden = false;
  at("cancel").textContent = "Stop";
  say(LIVE);
}

// Not in the status, which screen readers read out each time.
function tellOfCamera({ frames, rate, height, width }) {
  at("note").hidden = false;
  const each = rate < 10 ? rate.toFixed(1) : rate.toFixed(0);
  at("note").textContent = `${frames} pictures so far, ${each} a second, at ${width} × ${height}.`;
}

function endCamera(file, error) {
  camera = null;
  at("camera").lastElementChild.textContent = "Camera";
  at("note").hidden = at("cancel").hidden = true;
  say("");
  if (file) take([file]);
  else if (item) choose(item);
  if (error && !(error instanceof Cancelled)) complain(explain(error));
}

async function keepOffline() {
  if (!document.documentElement.dataset.offline || !("serviceWorker" in navigator)) return;
  await navigator.serviceWorker.register("service-worker.js");
  await navigator.serviceWorker.ready;
  // With the worker's headers threads can be used; once, before anything has been chosen.
  if (!self.crossOriginIsolated && !sessionStorage.getItem("reloaded") && item === demo) {
    sessionStorage.setItem("reloaded", "yes");
    location.reload();
  }
}

// What computes is got ready at once, unless the visitor counts bytes; a picture tells what fails.
function prepare(listed) {
  if (navigator.connection?.saveData) return;
  studio.engine.start(listed.then(() => gallery.style)).catch(() => {});
}

listen();
const listed = gallery.fetch();
prepare(listed);
Promise.all([listed, demonstrate()])
  .then(() => {
    document.documentElement.dataset.ready = "yes";
    return keepOffline();
  })
  .catch((error) => complain(explain(error)));
