"""Everything that compreface-sdk offers, on a running service; prints what was answered as JSON."""

import json
import sys

from compreface import CompreFace

port, key, photo, other, no_face = sys.argv[1:]
NAME, NEW_NAME = "Eileen Collins", "Collins"
service = CompreFace("http://127.0.0.1", port)
recognition = service.init_face_recognition(key)
faces, subjects = recognition.get_face_collection(), recognition.get_subjects()
verification, detection = service.init_face_verification(key), service.init_face_detection(key)
options = {"limit": 1, "det_prob_threshold": 0.8, "face_plugins": "calculator,age,gender,landmarks", "status": "true"}

added = subjects.add(NAME)
again = subjects.add(NAME)
example = faces.add(photo, NAME, {"det_prob_threshold": 0.8})
refused = faces.add(no_face, NAME)
listed = faces.list()
named = recognition.recognize(other, {**options, "prediction_count": 2})
compared = faces.verify(other, example["image_id"])
verified = verification.verify(photo, other)
detected = detection.detect(photo, options)
renamed = subjects.update(NAME, NEW_NAME)
erased = faces.delete(example["image_id"])
missing = faces.delete(example["image_id"])
faces.add(photo, NEW_NAME)
examples = faces.delete_all(NEW_NAME)
left = subjects.list()
deleted = subjects.delete(NEW_NAME)
subjects.add(NAME)
all_deleted = subjects.delete_all()
stranger = (
    CompreFace("http://127.0.0.1", port).init_face_detection("00000000-0000-0000-0000-000000000002").detect(photo)
)

(face,) = named["result"]
(match,) = verified["result"]
answers = {
    "added": added,
    "again": again["code"],
    "example": example["subject"],
    "refused": refused["code"],
    "listed": [listed["faces"] == [example], listed["total_elements"]],
    "named": [each["subject"] for each in face["subjects"]],
    "sure": face["subjects"][0]["similarity"] > 0.99,
    "plugins": [len(face["landmarks"]), len(face["embedding"]) > 1, "age" in face],
    "status": [sorted(face["execution_time"]), sorted(named["plugins_versions"])],
    "compared": compared["result"][0]["similarity"] > 0.99,
    "verified": match["face_matches"][0]["similarity"] > 0.99,
    "source": sorted(match["source_image_face"]["box"]),
    "detected": [sorted(detected["result"][0]["box"]), len(detected["result"][0]["landmarks"])],
    "renamed": renamed,
    "erased": erased["subject"],
    "missing": missing["code"],
    "examples": examples,
    "left": left,
    "deleted": deleted,
    "all_deleted": all_deleted,
    "stranger": stranger["code"],
}
sys.stdout.write(json.dumps(answers) + "\n")
