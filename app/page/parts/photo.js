/** A photo in the page: its bytes, its pixels if the browser can show it, and the faces that the service finds. */

import { call, form_of } from "./api.js";

/** @typedef {import("./api.js").Schemas} Schemas */
/**
 * A face of a photo, as every answer has it.
 * @typedef {object} Face
 * @property {number[]} box
 * @property {number[][]} landmarks
 * @property {number} confidence
 * @property {Schemas["QualityOut"]} quality
 * @property {number} [rotated]
 * @property {string | null} [crop] A JPEG in base64.
 * @property {{ score: number, live: boolean } | null} [liveness]
 */
/**
 * @typedef {object} Photo
 * @property {Blob} blob
 * @property {string} name
 * @property {ImageBitmap | null} bitmap Upright as EXIF says; null for a format that the browser cannot decode.
 */
/** @typedef {Schemas["Detection"]} Detection */

/** @param {Blob} blob @param {string} name @returns {Promise<Photo>} */
export async function open_photo(blob, name) {
  const bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" }).catch(() => null);
  return { blob, name, bitmap };
}

/** @param {Photo} photo @returns {Promise<Detection>} */
export function detect(photo) {
  return call("POST", "detect", { form: form_of({ image: photo.blob, crops: "true" }) });
}

/** Return a small photo for lists. @param {Blob} blob @param {number} side */
export async function thumbnail(blob, side) {
  return createImageBitmap(blob, {
    imageOrientation: "from-image",
    resizeWidth: side,
    resizeQuality: "medium",
  }).catch(() => null);
}

/** Whether a file may be a photo; the service decides by its content. @param {File} file */
export function may_be_photo(file) {
  return file.type.startsWith("image/") || /\.(jpe?g|png|webp|bmp|tiff?|gif|avif|hei[cf]|jp2|ppm)$/i.test(file.name);
}
