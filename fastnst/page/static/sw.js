// Keeps the page for times without a network, and gives it the headers that threads of WebAssembly
// take where the host doesn't.
const HEADERS = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

async function fill() {
  const files = await (await fetch('./files.json', { cache: 'no-cache' })).json();
  // Named by what they say, so that an update brings a new one.
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(files.join()));
  const name = `fastnst-${Array.from(new Uint8Array(digest).slice(0, 6)).join('-')}`;
  const cache = await caches.open(name);
  await cache.addAll(['./', ...files]);
  for (const other of await caches.keys()) if (other !== name) await caches.delete(other);
}

self.addEventListener('install', (event) => event.waitUntil(fill().then(() => self.skipWaiting())));
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  if (event.request.method !== 'GET' || !event.request.url.startsWith(self.registration.scope)) return;
  event.respondWith(
    (async () => {
      let response;
      try {
        response = await fetch(event.request);
      } catch (error) {
        response = await caches.match(event.request, { ignoreSearch: true });
        if (!response) throw error;
      }
      if (response.type === 'opaque' || response.status === 0) return response;
      const headers = new Headers(response.headers);
      for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
      return new Response(response.body, {
        status: response.status, statusText: response.statusText, headers,
      });
    })(),
  );
});
