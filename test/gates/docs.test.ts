// Documents stay true to what they name: links lead somewhere, and each error code is explained.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { errorCodes } from "../../src/errors.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const notOurs = new Set(["node_modules", "dist", "coverage"]);

function documentsIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name);
    if (entry.isDirectory())
      return entry.name.startsWith(".") || notOurs.has(entry.name) ? [] : documentsIn(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

/** What is code is no link, and no heading. */
function proseOf(path: string): string {
  return readFileSync(path, "utf8")
    .replace(/^```[\s\S]*?^```/gm, "")
    .replace(/`[^`\n]*`/g, code => code.replace(/[[\]()]/g, ""));
}

/** The name that a forge gives to a heading. */
function slugOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}

function headingsOf(path: string): string[] {
  return [...proseOf(path).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => slugOf(heading!));
}

function linksIn(path: string): string[] {
  return [...proseOf(path).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
}

/** @returns what is wrong with it, or undefined */
function faultOf(from: string, target: string): string | undefined {
  if (/^[a-z]+:/.test(target)) return undefined;
  const [file = "", heading] = target.split("#");
  const path = file === "" ? from : resolve(dirname(from), file);
  if (relative(root, path).startsWith("..")) return "leads out of the repository";
  if (!existsSync(path)) return "leads nowhere";
  if (heading === undefined) return undefined;
  const isFile = statSync(path).isFile();
  return isFile && headingsOf(path).includes(heading) ? undefined : "names no heading there";
}

test("every relative link of every document leads to a file, and to a heading in it", t => {
  const documents = documentsIn(root);
  t.true(documents.length > 10);
  const faults = documents.flatMap(from =>
    linksIn(from).flatMap(target => {
      const fault = faultOf(from, target);
      return fault === undefined ? [] : [`${relative(root, from)}: ${target} ${fault}`];
    }),
  );
  t.deepEqual(faults, []);
});

test("a link that leads nowhere, or to no heading, is found", t => {
  const readme = join(root, "README.md");
  t.is(faultOf(readme, "src/README.md"), undefined);
  t.is(faultOf(readme, "#run-it"), undefined);
  t.is(faultOf(readme, "src/nowhere.md"), "leads nowhere");
  t.is(faultOf(readme, "../other/README.md"), "leads out of the repository");
  t.is(faultOf(readme, "src/README.md#nothing"), "names no heading there");
  t.is(faultOf(readme, "src#folder"), "names no heading there");
});

test("docs/README.md leads to every guide, and the README to it", t => {
  const index = join(root, "docs", "README.md");
  const guides = readdirSync(join(root, "docs")).filter(name => name !== "README.md");
  for (const guide of guides)
    t.true(linksIn(index).includes(guide), `${guide} is not in the index`);
  t.true(linksIn(join(root, "README.md")).includes("docs/README.md"));
});

test("the troubleshooting guide has each error code once, and no other", t => {
  const text = readFileSync(join(root, "docs", "troubleshooting.md"), "utf8");
  const entries = [...text.matchAll(/^\| `([a-z]+\/[a-z0-9-]+)` \|(.*)$/gm)];
  const codes = entries.map(([, code]) => code!);
  const known = Object.keys(errorCodes);
  t.deepEqual(
    codes.filter(code => !known.includes(code)),
    [],
    "entries of codes that src/errors.ts does not have",
  );
  t.deepEqual(
    known.filter(code => !codes.includes(code)),
    [],
    "codes of src/errors.ts without an entry in docs/troubleshooting.md",
  );
  t.is(new Set(codes).size, codes.length, "a code has two entries");
  for (const [, code, rest] of entries) {
    const [meaning = ""] = rest!.split(/(?<!\\)\|/);
    t.true(meaning.trim().length > 20, `${code} is not explained`);
  }
});

test("an error code that a document names exists", t => {
  const families = new Set(Object.keys(errorCodes).map(code => code.split("/")[0]!));
  for (const path of documentsIn(root)) {
    for (const [, code, family] of readFileSync(path, "utf8").matchAll(
      /`"?(([a-z]+)\/[a-z0-9-]+)"?`/g,
    )) {
      if (!families.has(family!) || Object.hasOwn(errorCodes, code!)) continue;
      // Of the same form: a folder of src.
      if (existsSync(join(root, "src", code!)) || existsSync(join(root, "src", `${code}.ts`)))
        continue;
      t.fail(`${relative(root, path)} names ${code}, which is no error code`);
    }
  }
  t.pass();
});

/** Options of the command line, as its sources declare them; of which command is not told apart. */
function knownOptions(): Set<string> {
  const folder = join(root, "simulator");
  const sources = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter(name => name.endsWith(".ts"))
    .map(name => readFileSync(join(folder, name), "utf8"));
  const options = sources.flatMap(text =>
    [...text.matchAll(/[oO]ption\(\s*"(?:-\w, )?--(?:no-)?([a-z-]+)/g)].map(([, name]) => name!),
  );
  return new Set(["help", ...options]);
}

/** Command lines of a document, those that go on behind a backslash as one. */
function commandsIn(path: string): string[] {
  const text = readFileSync(path, "utf8").replace(/\\\n\s*/g, " ");
  return [...text.matchAll(/npm (?:start|run (?:--silent )?[\w-]+)\b[^`\n]*/g)].map(
    ([line]) => line,
  );
}

test("every npm script that a document names exists, and every option of ours", t => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const options = knownOptions();
  t.true(options.has("state") && options.has("device") && options.has("minimum-version"));
  for (const path of documentsIn(root)) {
    for (const command of commandsIn(path)) {
      const where = `${relative(root, path)}: ${command}`;
      const [, script = "start"] = /^npm run (?:--silent )?([\w-]+)/.exec(command) ?? [];
      t.true(Object.hasOwn(scripts, script), `${where}: there is no script ${script}`);
      if (!scripts[script]?.includes("dist/simulator/")) continue;
      // What follows a comment, a pipe or a second "--" is another's.
      const [, ours = ""] = command.split(/ #| \| | && |; /)[0]!.split(" -- ");
      for (const [, name] of ours.matchAll(/(?:^|\s)--(?:no-)?([a-z][a-z-]*)/g))
        t.true(options.has(name!), `${where}: there is no option --${name}`);
    }
  }
});
