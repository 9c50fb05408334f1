/** Photograph with the camera of this device. */

import { button, el } from "./dom.js";
import { problem_box } from "./problems.js";
import { Problem } from "./api.js";

/** Show the camera and return a JPEG, or null if none was taken. @returns {Promise<Blob | null>} */
export async function photograph() {
  const video = el("video", { playsinline: true, muted: true, label: "camera.picture" });
  video.muted = true;
  const shutter = button("camera.take", () => {}, { disabled: true });
  const stop = button("cancel", () => {}, { class: "secondary outline" });
  const body = el(
    "article",
    { class: "camera" },
    el("h2", { text: "camera.title" }),
    video,
    el("div", { class: "actions end" }, stop, shutter),
  );
  const dialog = el("dialog", { label: "camera.title" }, body);
  document.body.append(dialog);
  dialog.showModal();
  /** @type {MediaStream | undefined} */
  let stream;
  let closed = false;
  const shot = await new Promise((resolve) => {
    stop.addEventListener("click", () => resolve(null));
    dialog.addEventListener("cancel", () => resolve(null));
    shutter.addEventListener("click", async () => resolve(await still(video)));
    open_camera().then(
      async (opened) => {
        stream = opened;
        if (closed) return end(stream);
        video.srcObject = stream;
        await video.play();
        shutter.disabled = false;
        shutter.focus();
      },
      (error) => video.replaceWith(problem_box(error)),
    );
  });
  closed = true;
  end(stream);
  dialog.remove();
  return shot;
}

/** @returns {Promise<MediaStream>} */
async function open_camera() {
  // browsers offer it only under https and on localhost
  if (!navigator.mediaDevices) throw new Problem({ code: "camera_insecure", detail: "" });
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, facingMode: "user" } });
  } catch (error) {
    throw new Problem({ code: "camera_unavailable", detail: error instanceof Error ? error.message : "" });
  }
}

/** @param {HTMLVideoElement} video @returns {Promise<Blob | null>} */
function still(video) {
  const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
}

/** @param {MediaStream | undefined} stream */
function end(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
