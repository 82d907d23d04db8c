// Resources of the Prometheus operator and of KEDA against the models generated from their definitions: the
// validators know required fields, types and values, the compiler knows fields that do not exist.
//
//   node crds.mjs RENDERED.json MODULES      MODULES/node_modules has the models and typescript
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [file, modules] = process.argv.slice(2).map((p) => resolve(p));
const models = {
  ServiceMonitor: "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
  PrometheusRule: "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
  ScaledObject: "@kubernetes-models/keda/keda.sh/v1alpha1",
};
const documents = JSON.parse(readFileSync(file)).filter((d) => d.kind in models);
// The resolver looks beside the file that asks.
const entry = join(modules, "ask.mjs");
writeFileSync(entry, "export const load = (name) => import(name);\n");
const { load } = await import(pathToFileURL(entry));

let failed = 0;
let source = "";
for (const [number, document] of documents.entries()) {
  const { kind, metadata } = document;
  source += `import type { I${kind} as K${number} } from "${models[kind]}";\n`;
  source += `export const d${number}: K${number} = ${JSON.stringify(document, null, 1)};\n`;
  try {
    const { [kind]: Model } = await load(models[kind]);
    new Model(document).validate();
  } catch (error) {
    failed += 1;
    console.log(`${kind} ${metadata.name}: ${error.message}`);
  }
}
if (documents.length > 0) {
  mkdirSync(join(modules, "typed"), { recursive: true });
  const typed = join(modules, "typed", "resources.ts");
  writeFileSync(typed, source);
  const compiler = createRequire(entry).resolve("typescript/package.json").replace("package.json", "bin/tsc");
  const options = ["--noEmit", "--strict", "--skipLibCheck", "--ignoreConfig", "--module", "nodenext", "--moduleResolution", "nodenext", "--target", "es2022"];
  try {
    execFileSync(process.execPath, [compiler, ...options, typed], { encoding: "utf8" });
  } catch (error) {
    failed += 1;
    console.log(error.stdout);
  }
}
console.log(`${documents.map((d) => d.kind).join(", ") || "none"}: ${failed} problems`);
process.exit(failed > 0 ? 1 : 0);
