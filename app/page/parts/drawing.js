/** Draw photos with boxes and landmarks, and the aligned crops that the network sees. */

/** @typedef {import("./photo.js").Photo} Photo */
/** @typedef {import("./photo.js").Face} Face */
/** @typedef {{ face: Face, label?: string, muted?: boolean }} Marked */

const LONGEST = 1000;
/** Positions of the landmarks in a crop of 112 pixels; app/faces/alignment.py has the same. */
const TEMPLATE = [
  [38.2946, 51.6963],
  [73.5318, 51.5014],
  [56.0252, 71.7366],
  [41.5493, 92.3655],
  [70.7299, 92.2041],
];
const CROP = 112;

/** @param {string} name A custom property of the style sheet. */
export function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Photo} photo
 * @param {{ width: number, height: number }} size The size of the upright photo that boxes refer to.
 * @param {Marked[]} marked
 */
export function draw_photo(canvas, photo, size, marked) {
  const scale = LONGEST / Math.max(size.width, size.height); // small photos too, so that lines are as thin on them
  canvas.width = Math.max(1, Math.round(size.width * scale));
  canvas.height = Math.max(1, Math.round(size.height * scale));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  if (photo.bitmap) context.drawImage(photo.bitmap, 0, 0, canvas.width, canvas.height);
  const line = LONGEST / 220;
  for (const each of [...marked].reverse()) mark(context, each, scale, line);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Marked} marked
 * @param {number} scale
 * @param {number} line
 */
function mark(context, { face, label, muted }, scale, line) {
  const [left, top, right, bottom] = /** @type {[number, number, number, number]} */ (
    face.box.map((side) => side * scale)
  );
  context.globalAlpha = muted ? 0.55 : 1;
  for (const [style, width] of /** @type {const} */ ([
    ["rgb(0 0 0 / 0.55)", line * 2],
    [muted ? "#ffffff" : "#5cc8ff", line],
  ])) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.beginPath();
    context.roundRect(left, top, right - left, bottom - top, line * 3);
    context.stroke();
  }
  for (const [x, y] of muted ? [] : face.landmarks) dot(context, Number(x) * scale, Number(y) * scale, line * 1.1);
  if (label) tag(context, label, left, top, line);
  context.globalAlpha = 1;
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} radius */
function dot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = "#ffffff";
  context.strokeStyle = "rgb(0 0 0 / 0.6)";
  context.lineWidth = radius / 2;
  context.fill();
  context.stroke();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {string} label
 * @param {number} left
 * @param {number} top
 * @param {number} line
 */
function tag(context, label, left, top, line) {
  const size = line * 7;
  context.font = `600 ${size}px system-ui, sans-serif`;
  const width = context.measureText(label).width + size;
  const y = Math.max(0, top - size * 1.6);
  context.fillStyle = "rgb(6 20 36 / 0.85)";
  context.beginPath();
  context.roundRect(left, y, width, size * 1.5, line * 2);
  context.fill();
  context.fillStyle = "#ffffff";
  context.fillText(label, left + size / 2, y + size * 1.1);
}

/**
 * Draw the aligned crop: as the service sent it, or else turned, scaled and moved here as the service does it.
 * @param {HTMLCanvasElement} canvas
 * @param {Photo} photo
 * @param {Face} face
 */
export async function draw_crop(canvas, photo, face) {
  canvas.width = canvas.height = CROP * 2;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "#000000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (face.crop) {
    const bytes = Uint8Array.from(atob(face.crop), (character) => character.charCodeAt(0));
    const crop = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
    context.drawImage(crop, 0, 0, canvas.width, canvas.height);
  } else if (photo.bitmap) {
    const [a, b, x, y] = similarity(face.landmarks.map(([u, v]) => [Number(u), Number(v)]));
    context.setTransform(a * 2, b * 2, -b * 2, a * 2, x * 2, y * 2);
    context.drawImage(photo.bitmap, 0, 0);
    context.resetTransform();
  }
}

/**
 * Return a, b, x, y of the least-squares similarity that moves the landmarks onto the template: (u, v) becomes
 * (a u - b v + x, b u + a v + y).
 * @param {number[][]} landmarks
 * @returns {[number, number, number, number]}
 */
function similarity(landmarks) {
  const [from, to] = [center(landmarks), center(TEMPLATE)];
  let [dot, cross, square] = [0, 0, 0];
  landmarks.forEach(([u = 0, v = 0], index) => {
    const [p, q] = [u - from[0], v - from[1]];
    const [r, s] = [Number(TEMPLATE[index]?.[0]) - to[0], Number(TEMPLATE[index]?.[1]) - to[1]];
    dot += p * r + q * s;
    cross += p * s - q * r;
    square += p * p + q * q;
  });
  const [a, b] = [dot / square, cross / square];
  return [a, b, to[0] - a * from[0] + b * from[1], to[1] - b * from[0] - a * from[1]];
}

/** @param {number[][]} points @returns {[number, number]} */
function center(points) {
  const sum = points.reduce(([x = 0, y = 0], [u = 0, v = 0]) => [x + u, y + v], [0, 0]);
  return [Number(sum[0]) / points.length, Number(sum[1]) / points.length];
}
