// node generate.mjs URL: write schema.ts, the types of the service's OpenAPI description.
import { writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

const BLOB = ts.factory.createTypeReferenceNode("Blob");
const types = await openapiTS(new URL("/openapi.json", process.argv[2]), {
  // By itself the generator makes every file a string.
  transform: (schema) => (schema.format === "binary" ? BLOB : undefined),
});
await writeFile("schema.ts", astToString(types));
