/** Requests to the service. The key is in a variable of this module, so it is gone when the tab is closed. */

/** @typedef {import("likeness-api").components["schemas"]} Schemas */
/**
 * A problem document of the service, or one of the page, which has codes of its own.
 * @typedef {Omit<Partial<Schemas["Problem"]>, "code"> & { code: string }} ProblemDocument
 */
/**
 * @typedef {object} Body
 * @property {unknown} [json]
 * @property {FormData} [form]
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 */

/** How often a request is sent while the service says that it is busy. */
const PATIENCE = 5;
let key = "";
export const key_changed = new EventTarget();

export function has_key() {
  return key !== "";
}

/** @param {string} given */
export function use_key(given) {
  key = given.trim();
  key_changed.dispatchEvent(new Event("change"));
}

/** A request that failed, with the problem document that says why. */
export class Problem extends Error {
  /** @param {ProblemDocument} document @param {number} [retry_after] Seconds. */
  constructor(document, retry_after = 0) {
    super(document.detail ?? document.code);
    this.document = document;
    this.code = document.code;
    this.retry_after = retry_after;
  }
}

/** Return a segment of a path. @param {string} id */
export function segment(id) {
  // a browser takes these two, percent-encoded too, for steps in the path
  if (id === "." || id === "..")
    throw new Problem({ code: "invalid_request", detail: `a browser cannot send the id ${id}` });
  return encodeURIComponent(id);
}

/** @param {string} gallery */
export function gallery_path(gallery) {
  return `galleries/${segment(gallery)}`;
}

/** @param {string} gallery @param {string} subject */
export function subject_path(gallery, subject) {
  return `${gallery_path(gallery)}/subjects/${segment(subject)}`;
}

/**
 * Send a request and return the response. Raises Problem.
 * @param {string} method
 * @param {string} path Relative, so that the page works behind a proxy's prefix.
 * @param {Body} [body]
 */
export async function send(method, path, { json, form, headers = {}, signal } = {}) {
  const sent = new Headers(headers);
  if (key) sent.set("Authorization", `Bearer ${key}`);
  if (json !== undefined) sent.set("Content-Type", "application/json");
  const options = { method, headers: sent, body: json === undefined ? form : JSON.stringify(json), signal };
  const response = await fetch(path, /** @type {RequestInit} */ (options)).catch((error) => {
    if (signal?.aborted) throw error;
    throw new Problem({ code: "unreachable", detail: "" });
  });
  if (response.ok) return response;
  throw new Problem(await problem_document(response), Number(response.headers.get("Retry-After") ?? 0));
}

/** @param {Response} response @returns {Promise<ProblemDocument>} */
async function problem_document(response) {
  const document = await response.json().catch(() => null);
  return document?.code ? document : { code: "unreadable", detail: `HTTP ${response.status}`, status: response.status };
}

/**
 * Send a request and return the JSON of its answer. Raises Problem.
 * @template T
 * @param {string} method
 * @param {string} path
 * @param {Body} [body]
 * @returns {Promise<T>}
 */
export async function call(method, path, body) {
  const response = await send(method, path, body);
  return response.status === 204 ? /** @type {any} */ (null) : response.json();
}

/**
 * Return a form of photos and other fields.
 * @param {Record<string, Blob | string | number | undefined>} fields
 */
export function form_of(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) form.append(name, value instanceof Blob ? value : String(value));
  }
  return form;
}

/** @type {Promise<Schemas["LoadedModels"]> | null} */
let models = null;
/** @type {Promise<Schemas["Calibration"] | null> | null} */
let calibration = null;

/** Return the loaded models; they are asked for once, since they change only with a restart. */
export function loaded_models() {
  models ??= /** @type {Promise<Schemas["LoadedModels"]>} */ (call("GET", "models")).catch((error) => {
    models = null;
    throw error;
  });
  return models;
}

/**
 * Return the field that asks how live a face is, where the service can tell.
 * @returns {Promise<{ liveness?: string }>}
 */
export async function liveness_field() {
  const { models } = await loaded_models();
  return models.some((model) => model.kind === "liveness") ? { liveness: "report" } : {};
}

/** Return the calibration of the embedder, or null without one. */
export function embedder_calibration() {
  calibration ??= read_calibration().catch((error) => {
    calibration = null;
    throw error;
  });
  return calibration;
}

/** @returns {Promise<Schemas["Calibration"] | null>} */
async function read_calibration() {
  const embedder = (await loaded_models()).models.find((model) => model.kind === "embedder");
  return embedder?.calibrated ? call("GET", `models/${segment(embedder.id)}/calibration`) : null;
}

/**
 * Try again as long as the service says that it is busy.
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function patiently(work) {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      const busy = error instanceof Problem && (error.code === "overloaded" || error.code === "rate_limited");
      if (!busy || tries === PATIENCE) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(10, error.retry_after || 1)));
    }
  }
}

/** Return a random key for `Idempotency-Key`. randomUUID exists only under https and on localhost. */
export function new_idempotency_key() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
