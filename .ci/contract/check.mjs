// Checks docs/contract with the tools that subscribers use: ajv for the schemas and the examples, @asyncapi/parser for the
// topics. Run by `run`, which installs them.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Parser } from "@asyncapi/parser";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const contract = process.argv[2];
const json = (path) => JSON.parse(readFileSync(path, "utf8"));
const jsonFiles = (directory) =>
  readdirSync(directory, { recursive: true }).filter((name) => name.endsWith(".json")).map((name) => join(directory, name));

let problems = 0;
const problem = (what, detail) => {
  problems += 1;
  console.error(`${what}: ${detail}`);
};

const validator = (path) => {
  const ajv = addFormats(new Ajv({ strict: true, allowUnionTypes: true, allErrors: true }));
  ajv.addKeyword({ keyword: "x-personal", schemaType: "boolean" });
  const validate = ajv.compile(json(path));
  return (event, name) => validate(event) || problem(name, `refused by ${path}: ${ajv.errorsText(validate.errors)}`);
};

const released = jsonFiles(join(contract, "released"));
const ofEvents = [join(contract, "event.schema.json"), ...released].map(validator);
const ofData = validator(join(contract, "delivery-update.schema.json"));
const examples = jsonFiles(join(contract, "examples"));
for (const path of examples) {
  const event = json(path);
  for (const validate of ofEvents) validate(event, path);
  ofData(event.data, path);
}

const asyncapi = join(contract, "asyncapi.json");
const { document, diagnostics } = await new Parser().parse(readFileSync(asyncapi, "utf8"));
// 0 is an error, 1 a warning; less is advice.
for (const { severity, message, path } of diagnostics) {
  if (severity <= 1) problem(asyncapi, `${path.join(".")}: ${message}`);
}
if (!document) problem(asyncapi, "is no AsyncAPI document");

console.log(`${examples.length} examples, ${released.length} released schemas, problems: ${problems}`);
process.exitCode = problems === 0 && examples.length > 0 && released.length > 0 ? 0 : 1;
