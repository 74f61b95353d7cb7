// On a web server: the service worker that keeps the page for when there is no network.

// `mayReload` says whether nothing would be lost by it.
export async function keepOffline(mayReload) {
  if (!document.documentElement.dataset.offline || !("serviceWorker" in navigator)) return;
  await navigator.serviceWorker.register("service-worker.js");
  await navigator.serviceWorker.ready;
  // With the worker's headers threads can be used; once, before anything has been chosen.
  if (!self.crossOriginIsolated && !sessionStorage.getItem("reloaded") && mayReload()) {
    sessionStorage.setItem("reloaded", "yes");
    location.reload();
  }
}
