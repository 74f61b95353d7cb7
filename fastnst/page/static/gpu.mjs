// Whether there is a GPU to compute on.

// None that a processor plays: WebAssembly is quicker than that.
export async function hasGpu() {
  try {
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter) return false;
    const info = adapter.info ?? {};
    if (adapter.isFallbackAdapter || info.isFallbackAdapter) return false;
    return !/swiftshader|llvmpipe|lavapipe/i.test(`${info.vendor} ${info.architecture} ${info.description}`);
  } catch {
    return false;
  }
}
