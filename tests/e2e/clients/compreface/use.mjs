// Everything that @exadel/compreface-js-sdk offers, on a running service; prints what was answered as JSON.
// Its collections lengthen their own address with each call, so every call takes a new one.
import { readFileSync } from "node:fs";
import { CompreFace } from "@exadel/compreface-js-sdk";

const [port, key, photo, other, noFace] = process.argv.slice(2);
const NAME = "Eileen Collins";
const NEW_NAME = "Collins";
const service = new CompreFace("http://127.0.0.1", port);
const recognition = service.initFaceRecognitionService(key);
const verification = service.initFaceVerificationService(key);
const detection = service.initFaceDetectionService(key);
const faces = () => recognition.getFaceCollection();
const subjects = () => recognition.getSubjects();
const base64 = (path) => readFileSync(path).toString("base64");
const problem = (call) => call.then((answer) => answer, (error) => error.response.data);
const options = { limit: 1, det_prob_threshold: 0.8, face_plugins: "calculator,age,gender,landmarks", status: "true" };

const added = await subjects().add(NAME);
const again = await problem(subjects().add(NAME));
const example = await faces().add(photo, NAME, {});
const refused = await problem(faces().add(base64(noFace), NAME, {}));
const listed = await faces().list();
const named = await recognition.recognize(other, { ...options, prediction_count: 2 });
const compared = await faces().verify(base64(other), example.image_id, {});
const verified = await verification.verify(photo, other, {});
const verifiedBase64 = await verification.verify(base64(photo), base64(other), {});
const detected = await detection.detect(base64(photo), options);
const renamed = await subjects().rename(NAME, NEW_NAME);
const erased = await faces().delete(example.image_id);
const missing = await problem(faces().delete(example.image_id));
const { image_id } = await faces().add(photo, NEW_NAME, {});
const several = await faces().delete_multiple_images([image_id, example.image_id]);
await faces().add(photo, NEW_NAME, {});
const examples = await faces().delete_all_subject(NEW_NAME);
const none = await faces().delete_all();
const left = await subjects().list();
const deleted = await subjects().delete(NEW_NAME);
await subjects().add(NAME);
const all_deleted = await subjects().deleteAll();
const stranger = await problem(service.initFaceDetectionService("00000000-0000-0000-0000-000000000002").detect(photo, {}));

const [face] = named.result;
const [match] = verified.result;
console.log(JSON.stringify({
    added,
    again: again.code,
    example: example.subject,
    refused: refused.code,
    listed: [JSON.stringify(listed.faces) === JSON.stringify([example]), listed.total_elements],
    named: face.subjects.map((each) => each.subject),
    sure: face.subjects[0].similarity > 0.99,
    plugins: [face.landmarks.length, face.embedding.length > 1, "age" in face],
    status: [Object.keys(face.execution_time).sort(), Object.keys(named.plugins_versions).sort()],
    compared: compared.result[0].similarity > 0.99,
    verified: match.face_matches[0].similarity > 0.99 && verifiedBase64.result[0].face_matches[0].similarity > 0.99,
    source: Object.keys(match.source_image_face.box).sort(),
    detected: [Object.keys(detected.result[0].box).sort(), detected.result[0].landmarks.length],
    renamed,
    erased: erased.subject,
    missing: missing.code,
    several: several.map((each) => each.subject),
    examples,
    none,
    left,
    deleted,
    all_deleted,
    stranger: stranger.code,
}));
