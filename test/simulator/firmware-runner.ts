// Runs a module whose file's name does not say that it is one.
import { copyFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const path = process.argv[2]!;
copyFileSync(path, `${path}.mjs`);
await import(pathToFileURL(`${path}.mjs`).href);
