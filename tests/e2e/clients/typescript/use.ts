// node built/use.js URL KEY PHOTO OTHER-PHOTO NO-FACE: use the generated client as a caller would.
import { readFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Problem = components["schemas"]["Problem"];

const [url, key, one, other, noFace] = process.argv.slice(2) as [string, string, string, string, string];
const client = createClient<paths>({ baseUrl: `${url}/v1`, headers: { Authorization: `Bearer ${key}` } });
const gallery = "typescript";
const path = { gallery, subject: "a/b" };

async function photo(name: string): Promise<Blob> {
  return new Blob([new Uint8Array(await readFile(name))], { type: "image/jpeg" });
}

/** Make the multipart form of a body; an array is a field that is repeated. */
function form(fields: object): FormData {
  const made = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const each of [value].flat()) {
      made.append(name, each instanceof Blob ? each : String(each));
    }
  }
  return made;
}

function require<T>(answer: { data?: T; error?: Problem }): T {
  if (answer.data === undefined) {
    throw new Error(answer.error?.detail);
  }
  return answer.data;
}

/** Return the ids of all subjects, one a page. */
async function listed(): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const query: { limit: number; cursor: string } = { limit: 1, cursor };
    const page: components["schemas"]["SubjectPage"] = require(
      await client.GET("/galleries/{gallery}/subjects", { params: { path: { gallery }, query } }),
    );
    found.push(...page.subjects.map((subject) => subject.subject_id));
    cursor = page.next_cursor;
  }
  return found;
}

const verified = require(
  await client.POST("/verify", {
    body: { image1: await photo(one), image2: await photo(other), fmr: 1e-4 },
    bodySerializer: form,
  }),
);
const subject = require(
  await client.PUT("/galleries/{gallery}/subjects/{subject}", {
    params: { path },
    body: { consent: "form 7", expires_at: "2999-01-01T00:00:00Z" },
  }),
);
await client.PUT("/galleries/{gallery}/subjects/{subject}", { params: { path: { gallery, subject: "z" } } });
const enrolled = require(
  await client.POST("/galleries/{gallery}/subjects/{subject}/faces", {
    params: { path, header: { "idempotency-key": "1" } },
    body: { image: [await photo(one), await photo(noFace)] },
    bodySerializer: form,
  }),
);
const identified = require(
  await client.POST("/identify", { body: { image: await photo(other), gallery }, bodySerializer: form }),
);
const refused = await client.POST("/verify", {
  body: { image1: await photo(one), image2: await photo(noFace) },
  bodySerializer: form,
});
const problem: Problem | undefined = refused.error;
const before = await listed();
const erased = await client.DELETE("/galleries/{gallery}/subjects/{subject}", { params: { path } });

console.log(
  JSON.stringify({
    match: verified.match,
    consent: subject.consent,
    expires_at: subject.expires_at,
    enrolled: enrolled.enrolled.map((face) => face.subject_id),
    rejected: enrolled.rejected.map((rejected) => rejected.problem.code),
    named: identified.faces.flatMap((face) => face.candidates.map((candidate) => candidate.subject_id)),
    problem: [problem?.status, problem?.code, problem?.image],
    listed: before,
    erased: erased.response.status,
    left: await listed(),
  }),
);
