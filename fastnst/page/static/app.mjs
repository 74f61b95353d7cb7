// The page: what the user does, and what is shown of it.
import { Cancelled, Engine } from './engine.mjs';
import { blended, resampled } from './paint.mjs';
import { canvasOf, decoded, encoded, offer, rgbaOf } from './photos.mjs';
import { zipped } from './zip.mjs';

const $ = (id) => document.getElementById(id);
// Long side of what is shown, in pixels: sliders blend so many at each move.
const SHOWN = 1280;
// Pixels of a pass: of more the runtime takes more memory than a tab should.
const MOST_PASS = 4e6;
const SUFFIX = { 'image/jpeg': 'jpg', 'image/png': 'png', 'image/webp': 'webp' };

let settings;
let engine;
let photos = [];
let current = null;
let style = null;
let turn = 0;
let camera = null;
const own = new Map();

function say(text) {
  $('status').textContent = text;
}

function complain(error) {
  if (error instanceof Cancelled) return;
  const text = String(error?.message ?? error);
  $('error').textContent = /[.!?]$/.test(text) ? text : `${text}.`;
  $('error').hidden = false;
}

function forgive() {
  $('error').hidden = true;
}

const strokes = () => ($('strokes').value === '0' ? 'auto' : 2 ** ($('strokes').value / 2));
// A factor of what is right for this picture's size.
function strokesFor(photo) {
  if (strokes() === 'auto') return 'auto';
  const usual = Math.max(1, Math.min(photo.height, photo.width) / settings.shortSide);
  return Math.min(10, Math.max(0.1, usual * strokes()));
}
const key = (photo) => `${style.name} ${strokesFor(photo)}`;
const title = (photo) => photo.name.replace(/\.[^.]*$/, '');

// Shown.

function shrunk(photo) {
  const by = Math.max(photo.height, photo.width) / SHOWN;
  if (by <= 1) return photo;
  return { ...resampled({ ...photo, channels: 3 }, Math.round(photo.height / by), Math.round(photo.width / by)) };
}

function fit(canvas, { width, height }) {
  canvas.width = width;
  canvas.height = height;
}

function showPhoto(photo) {
  photo.shown ??= shrunk(photo);
  for (const id of ['photograph', 'painting']) fit($(id), photo.shown);
  $('photograph').getContext('2d').putImageData(rgbaOf(photo.shown), 0, 0);
  $('photograph').setAttribute('aria-label', `The photograph ${photo.name}`);
  place();
}

function showPainting(photo) {
  const painted = photo.painted ?? photo.preview;
  if (photo !== current || !painted) return;
  const { height, width } = photo.shown;
  if (painted.shown?.height !== height || painted.shown?.width !== width) {
    painted.shown = resampled({ ...painted, channels: 3 }, height, width);
  }
  const image = new ImageData(width, height);
  blended(photo.shown, painted.shown, $('strength').value / 100, $('colours').checked, image.data);
  $('painting').getContext('2d').putImageData(image, 0, 0);
  $('painting').setAttribute('aria-label', `${photo.name} in the style ${style.title}`);
  $('stage').dataset.state = 'shown';
}

function place() {
  const canvas = $('photograph').getBoundingClientRect();
  const stage = $('stage').getBoundingClientRect();
  const share = $('split').value / 100;
  const x = share * stage.width;
  const inside = Math.min(1, Math.max(0, (x - (canvas.left - stage.left)) / (canvas.width || 1)));
  $('stage').style.setProperty('--split', `${inside * 100}%`);
  $('stage').style.setProperty('--line', `${share * 100}%`);
}

// Painted.

async function paint(photo, only = 'both') {
  if (!style) return;
  const mine = ++turn;
  forgive();
  engine.cancel();
  const wanted = key(photo);
  if (photo.key === wanted && photo.painted) return void showPainting(photo);
  if (photo.key !== wanted) photo.painted = photo.preview = null;
  photo.key = wanted;
  const late = () => mine !== turn;
  working(true);
  $('save').disabled = true;
  if ($('stage').dataset.state === 'shown') $('stage').dataset.state = 'waiting';
  try {
    say(`Painting ${photo.name} as ${style.title} …`);
    await engine.load(style.name, style.model);
    const options = { strokes: strokesFor(photo) };
    const large = Math.min(photo.height, photo.width) > settings.shortSide;
    if (large && only === 'both') {
      photo.preview = await engine.paint(style.name, photo, { ...options, small: true });
      if (late()) return;
      showPainting(photo);
      say(`A preview; painting all ${megapixels(photo)} …`);
    }
    const painted = await engine.paint(style.name, photo, options, (share) => ($('bar').value = share));
    if (late()) return;
    photo.painted = painted;
    photo.preview = null;
    showPainting(photo);
    const rest = painted.detailed
      ? ' Strokes were painted at 4 megapixels; the finest detail beyond is the photograph’s.'
      : '';
    say(`${style.title}, ${photo.width} × ${photo.height}, in ${(painted.ms / 1000).toFixed(1)} s.${rest}`);
    $('save').disabled = false;
    listPhotos();
  } catch (error) {
    if (!late()) {
      complain(memoryWords(error));
      say('');
      $('stage').dataset.state = 'empty';
    }
  } finally {
    if (!late()) working(false);
  }
}

function memoryWords(error) {
  if (error instanceof Cancelled) return error;
  const memory = /memory|alloc|RangeError|Array buffer/i.test(String(error?.message));
  return memory ? new Error('This browser has too little memory for a picture of this size.') : error;
}

const megapixels = ({ height, width }) => `${((height * width) / 1e6).toFixed(1)} megapixels`;

function working(on) {
  $('progress').hidden = !on;
  $('bar').removeAttribute('value');
  document.body.toggleAttribute('data-busy', on);
}

async function saved(photo, type) {
  const { width, height, painted, alpha } = photo;
  const image = new ImageData(width, height);
  blended(photo, painted, $('strength').value / 100, $('colours').checked, image.data);
  if (alpha && type !== 'image/jpeg') {
    for (let i = 0; i < alpha.length; i++) image.data[4 * i + 3] = alpha[i];
  } else if (alpha) {
    for (let i = 0; i < alpha.length; i++) {
      for (let c = 4 * i; c < 4 * i + 3; c++) {
        image.data[c] = (image.data[c] * alpha[i] + 255 * (255 - alpha[i])) / 255;
      }
    }
  }
  return { name: `${title(photo)}-${style.name}.${SUFFIX[type]}`, blob: await encoded(image, type) };
}

async function saveAll() {
  const type = $('format').value;
  const files = [];
  $('save-all').disabled = true;
  try {
    for (const [place, photo] of photos.entries()) {
      show(photo, false);
      if (photo.key !== key(photo) || !photo.painted) await paint(photo, 'full');
      if (photo.key !== key(photo) || !photo.painted) return;
      files.push(await saved(photo, type));
      say(`${place + 1} of ${photos.length} done.`);
    }
    offer(await zipped(files), `${style.name}.zip`);
  } catch (error) {
    complain(error);
  } finally {
    $('save-all').disabled = false;
  }
}

// Photographs.

function listPhotos() {
  const many = photos.length > 1;
  $('queue').hidden = $('save-all').hidden = !many;
  $('queue').replaceChildren(
    ...(many ? photos : []).map((photo) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.title = photo.name;
      button.setAttribute('aria-label', photo.name);
      if (photo === current) button.setAttribute('aria-current', 'true');
      if (photo.painted && style && photo.key === key(photo)) button.className = 'done';
      photo.icon ??= icon(photo);
      button.append(photo.icon);
      button.onclick = () => show(photo);
      return button;
    }),
  );
}

function icon(photo) {
  photo.shown ??= shrunk(photo);
  const whole = canvasOf(photo.shown.width, photo.shown.height);
  whole.getContext('2d').putImageData(rgbaOf(photo.shown), 0, 0);
  const side = Math.min(whole.width, whole.height);
  const small = canvasOf(128, 128);
  small.getContext('2d').drawImage(
    whole, (whole.width - side) / 2, (whole.height - side) / 2, side, side, 0, 0, 128, 128,
  );
  return small;
}

function show(photo, andPaint = true) {
  current = photo;
  $('stage').dataset.state = photo.painted || photo.preview ? 'waiting' : 'empty';
  showPhoto(photo);
  showPainting(photo);
  listPhotos();
  $('save').disabled = !photo.painted;
  return andPaint ? paint(photo) : undefined;
}

async function take(files) {
  stopCamera();
  forgive();
  const found = [];
  for (const file of files) {
    try {
      if (/\.onnx$/i.test(file.name)) {
        await takeStyle(file);
      } else if (/\.(ckpt|pth|pt)$/i.test(file.name)) {
        throw new Error(`${file.name} is a checkpoint: fastnst export makes a style for this page of it.`);
      } else {
        const photo = await decoded(file);
        if (photo.moves) say(`${file.name}: the first frame.`);
        found.push(photo);
      }
    } catch (error) {
      complain(error);
    }
  }
  if (!found.length) return;
  photos = found;
  await show(found[0]);
}

async function takeStyle(file) {
  const bytes = await file.arrayBuffer();
  const name = file.name.replace(/\.onnx$/i, '');
  engine.add(name, bytes);
  try {
    await engine.load(name);
  } catch {
    engine.models.delete(name);
    throw new Error(`${file.name} is no style that fastnst export has written.`);
  }
  own.set(name, { name, title: name });
  listStyles(name);
  choose(name);
}

// Styles.

const known = () => [...own.values(), ...settings.styles];

function listStyles(chosen) {
  $('tiles').replaceChildren(
    ...known().map(({ name, title, picture }) => {
      const tile = document.createElement('label');
      tile.className = 'tile';
      const input = Object.assign(document.createElement('input'), {
        type: 'radio', name: 'style', value: name, checked: name === chosen,
      });
      const image = document.createElement(picture ? 'img' : 'span');
      picture ? Object.assign(image, { src: picture, alt: '', width: 192, height: 192 }) : (image.className = 'own');
      if (!picture) image.textContent = 'own';
      tile.append(input, image, document.createTextNode(title));
      return tile;
    }),
  );
}

function choose(name) {
  style = known().find((one) => one.name === name);
  if (current && !camera) paint(current);
  listPhotos();
}

// Camera: one frame in flight, the newest next; its size follows the time that a pass takes.

async function startCamera() {
  forgive();
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'user' } });
  } catch (error) {
    const why = error?.name === 'NotAllowedError' ? 'The camera was refused.' : 'There is no camera to use.';
    return complain(new Error(why));
  }
  turn++;
  engine.cancel();
  working(false);
  camera = { stream, side: 256, frames: 0 };
  $('camera').setAttribute('aria-pressed', 'true');
  $('stage').dataset.state = 'camera';
  $('stage').style.setProperty('--split', '0%');
  $('video').srcObject = stream;
  await $('video').play();
  await engine.load(style.name, style.model);
  frame(camera).catch((error) => {
    complain(error);
    stopCamera();
  });
}

async function frame(mine) {
  const video = $('video');
  const canvas = canvasOf(1, 1);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  while (camera === mine) {
    const by = mine.side / Math.min(video.videoWidth, video.videoHeight);
    fit(canvas, { width: Math.round(video.videoWidth * by), height: Math.round(video.videoHeight * by) });
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
    const rgb = new Uint8ClampedArray(width * height * 3);
    for (let i = 0, at = 0; at < rgb.length; i += 4, at += 3) {
      rgb.set([data[i], data[i + 1], data[i + 2]], at);
    }
    await engine.load(style.name, style.model);
    const photo = { data: rgb, width, height };
    const painted = await engine.paint(style.name, photo, { strokes: 1 });
    if (camera !== mine) return;
    const image = new ImageData(width, height);
    blended(photo, painted, $('strength').value / 100, $('colours').checked, image.data);
    fit($('painting'), image);
    fit($('photograph'), image);
    $('painting').getContext('2d').putImageData(image, 0, 0);
    mine.frames++;
    document.body.dataset.frames = mine.frames;
    say(`${style.title}, ${(1000 / painted.ms).toFixed(1)} pictures a second at ${width} × ${height}.`);
    if (painted.ms > 250 && mine.side > 128) mine.side -= 32;
    if (painted.ms < 90 && mine.side < 480) mine.side += 32;
    if (document.hidden) await new Promise((shown) => document.addEventListener('visibilitychange', shown, { once: true }));
  }
}

function stopCamera() {
  if (!camera) return;
  for (const track of camera.stream.getTracks()) track.stop();
  camera = null;
  $('video').srcObject = null;
  $('camera').setAttribute('aria-pressed', 'false');
  if (current) show(current);
}

// What the user does.

function listen() {
  $('file').onchange = (event) => {
    take([...event.target.files]);
    event.target.value = '';
  };
  $('tiles').onchange = (event) => choose(event.target.value);
  $('strength').oninput = () => {
    $('strength-told').textContent = `${$('strength').value} %`;
    if (current && !camera) showPainting(current);
  };
  $('colours').onchange = () => current && !camera && showPainting(current);
  $('strokes').oninput = () => {
    const size = strokes();
    $('strokes-told').textContent =
      size === 'auto' ? 'as in the painting' : `${size.toFixed(1)} times as ${size < 1 ? 'fine' : 'large'}`.replace(/^0\.(\d) times as fine/, (_, n) => `${(10 / n).toFixed(1)} times finer`);
  };
  $('strokes').onchange = () => current && !camera && paint(current);
  $('split').oninput = place;
  window.addEventListener('resize', place);
  $('cancel').onclick = () => {
    turn++;
    engine.cancel();
    working(false);
    say('Cancelled.');
  };
  $('save').onclick = async () => {
    try {
      const { name, blob } = await saved(current, $('format').value);
      offer(blob, name);
    } catch (error) {
      complain(error);
    }
  };
  $('save-all').onclick = saveAll;
  $('camera').onclick = () => (camera ? stopCamera() : startCamera());
  window.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) take(files);
  });
  let over = 0;
  const dragged = (event) => event.dataTransfer?.types.includes('Files');
  window.addEventListener('dragenter', (event) => dragged(event) && ($('drop').hidden = !++over));
  window.addEventListener('dragleave', (event) => dragged(event) && ($('drop').hidden = !--over));
  window.addEventListener('dragover', (event) => event.preventDefault());
  window.addEventListener('drop', (event) => {
    event.preventDefault();
    over = 0;
    $('drop').hidden = true;
    take([...event.dataTransfer.files]);
  });
}

async function greet() {
  if (typeof WebAssembly === 'undefined') throw new Error('This browser has no WebAssembly, which the page computes with.');
  settings = await (await fetch('styles.json')).json();
  engine = new Engine({ shortSide: settings.shortSide, mostPixels: MOST_PASS });
  const first = settings.styles.find(({ name }) => name === 'starry_night') ?? settings.styles[0];
  listStyles(first.name);
  style = first;
  listen();
  const file = await (await fetch('pictures/photograph.jpg')).blob();
  const photo = await decoded(new File([file], 'cat.jpg', { type: 'image/jpeg' }));
  photos = [photo];
  await show(photo);
  const { threads } = await engine.started;
  $('machine').textContent = `Computed here by WebAssembly on ${threads} thread${threads > 1 ? 's' : ''}; fastnst ${settings.version}.`;
  document.body.dataset.ready = 'true';
  if ('serviceWorker' in navigator) {
    const registered = await navigator.serviceWorker.register('sw.js');
    await navigator.serviceWorker.ready;
    // Where the host doesn't allow threads, the service worker does from the next time on.
    if (!crossOriginIsolated && !sessionStorage.again) {
      sessionStorage.again = 'once';
      location.reload();
    }
    document.body.dataset.offline = String(Boolean(registered.active));
  }
}

greet().catch(complain);
