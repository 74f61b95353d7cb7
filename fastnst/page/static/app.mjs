// The page, put together: what is chosen goes to the painter, and what comes of it to the view.

import { Album } from "./album.mjs";
import { chosen, listenToControls } from "./controls.mjs";
import { download, downloadAll } from "./downloads.mjs";
import { at } from "./elements.mjs";
import { Cancelled } from "./engine.mjs";
import { Gallery } from "./gallery.mjs";
import { listenToFiles } from "./incoming.mjs";
import { Live } from "./live.mjs";
import { keepOffline } from "./offline.mjs";
import { Painter } from "./painter.mjs";
import { decoded, Told } from "./pictures.mjs";
import { complain, explain, isAgainOffered, note, say } from "./status.mjs";
import { Item, Studio } from "./studio.mjs";
import { View } from "./view.mjs";

const studio = new Studio();
const gallery = new Gallery(at("grid"), at("chosen"), () => painter.wish());
const settings = () => chosen(gallery.style);
const album = new Album((one) => {
  complain("");
  return choose(one);
});
const view = new View(settings);
const painter = new Painter(studio, album, view, settings, refuse);
const live = new Live(painter, (file) => {
  if (file) take([file]);
  else if (album.chosen) choose(album.chosen);
});

async function choose(one) {
  album.select(one);
  if (live.isRunning) return live.stop();
  note("");
  at("pair").hidden = !one.result;
  if (one.view) view.show(one.view);
  return painter.update();
}

function refuse(one) {
  const isChosen = album.chosen === one;
  album.remove(one);
  if (!isChosen || !album.chosen) return;
  if (!album.isUntouched) choose(album.chosen);
  else {
    if (album.chosen.view) view.show(album.chosen.view);
    at("pair").hidden = !album.chosen.result;
  }
}

async function take(files) {
  complain("");
  const models = files.filter(({ name }) => /\.(onnx|ckpt|pth?|model)$/i.test(name));
  const photos = files.filter((file) => !models.includes(file));
  for (const file of models) await takeModel(file);
  if (photos.length) await choose(album.add(photos));
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
    if (live.isRunning) live.tell();
    await painter.update();
  } catch (error) {
    say("");
    if (!(error instanceof Cancelled)) complain(explain(error));
  }
}

async function packAll() {
  if (painter.working || !(await downloadAll(painter))) return;
  if (album.chosen.key !== studio.key(settings())) await choose(album.chosen);
}

function stop() {
  if (live.isRunning) return live.stop();
  return isAgainOffered() ? painter.wish() : painter.stop();
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
  if (album.begin(first)) view.show(first.view);
}

// What computes is got ready at once, unless the visitor counts bytes; a picture tells what fails.
function prepare(listed) {
  if (navigator.connection?.saveData) return;
  studio.engine.start(listed.then(() => gallery.style)).catch(() => {});
}

listenToFiles(take);
listenToControls(() => view.blend(album.chosen), () => painter.wish());
at("download").addEventListener("click", () => download(painter));
at("all").addEventListener("click", packAll);
at("cancel").addEventListener("click", stop);
const listed = gallery.fetch();
prepare(listed);
Promise.all([listed, demonstrate()])
  .then(() => {
    document.documentElement.dataset.ready = "yes";
    return keepOffline(() => album.isUntouched);
  })
  .catch((error) => complain(explain(error)));
