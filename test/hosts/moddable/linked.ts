// What a firmware links that includes some of our manifests, by the rules of the SDK's mcconfig, as far as our manifests use them.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";

export interface Manifest {
  readonly include?: string | readonly string[];
  readonly modules?: Readonly<Record<string, string | readonly string[]>>;
  readonly config?: unknown;
  readonly preload?: readonly string[];
  readonly platforms?: Readonly<
    Record<string, { readonly include?: string; readonly error?: string }>
  >;
}

export const root = fileURLToPath(new URL("../../../../", import.meta.url));

export function manifestAt(path: string): Manifest {
  return JSON.parse(readFileSync(join(root, path), "utf8")) as Manifest;
}

export interface Linked {
  /** By specifier: the path below `dist`, without `.js`. */
  readonly modules: ReadonlyMap<string, string>;
  readonly preload: readonly string[];
  /** Names with two sources, sources with two names: mcconfig would drop one of them without a word. */
  readonly dropped: readonly string[];
}

/** @param paths of manifests, from the root. The SDK's own manifests are left out. */
export function link(paths: readonly string[], platform: string): Linked {
  const manifests = new Map<string, Manifest>();
  for (const path of paths) read(path, platform, manifests);
  const excluded = new Set<string>();
  const sources = new Map<string, string[]>();
  for (const [path, { modules = {} }] of manifests) {
    for (const [name, values] of Object.entries(modules)) {
      for (const value of list(values)) {
        if (value.startsWith("$(")) continue;
        const source = join(dirname(path), value);
        if (name === "~") excluded.add(source);
        else sources.set(name, [...(sources.get(name) ?? []), source]);
      }
    }
  }
  const linked = new Map<string, string>();
  const dropped: string[] = [];
  const names = new Map<string, string>();
  for (const [pattern, values] of sources) {
    for (const [name, source] of values.flatMap(value => expand(pattern, value))) {
      if (excluded.has(source)) continue;
      if (linked.has(name) && linked.get(name) !== source) dropped.push(`${name} from ${source}`);
      if (names.has(source) && names.get(source) !== name) dropped.push(`${source} as ${name}`);
      linked.set(name, source);
      names.set(source, name);
    }
  }
  const modules = new Map([...linked].map(([name, source]) => [name, relative("dist", source)]));
  return { modules, preload: [...manifests.values()].flatMap(one => one.preload ?? []), dropped };
}

/** Depth first, each once; one entry of `platforms` counts. */
function read(path: string, platform: string, manifests: Map<string, Manifest>): void {
  if (manifests.has(path)) return;
  const manifest = manifestAt(path);
  manifests.set(path, manifest);
  const { include } = manifest.platforms?.[platform] ?? {};
  for (const other of [...list(manifest.include ?? []), ...list(include ?? [])])
    if (!other.startsWith("$(")) read(join(dirname(path), other), platform, manifests);
}

const list = (value: string | readonly string[]): readonly string[] =>
  typeof value === "string" ? [value] : value;

/** `name/*` with a file's path, or with all files of a folder; or a name with a path. */
function expand(pattern: string, source: string): readonly (readonly [string, string])[] {
  if (!pattern.endsWith("*")) return [[pattern, source]];
  const files = source.endsWith("*") ? scripts(dirname(source)) : [source];
  return files.map(file => [join(dirname(pattern), relative(dirname(file), file)), file]);
}

const scriptsOf = new Map<string, readonly string[]>();

/** Only what has a source: `dist` may hold what there was once. */
function scripts(folder: string): readonly string[] {
  const known = scriptsOf.get(folder);
  if (known) return known;
  const found = readdirSync(join(root, relative("dist", folder)))
    .filter(name => name.endsWith(".ts") && !name.endsWith(".d.ts"))
    .map(name => join(folder, name.slice(0, -3)));
  scriptsOf.set(folder, found);
  return found;
}

const textOf = new Map<string, string>();

/** What is compiled: no types in it, so all it imports is needed when it runs. @param path below `dist`, without `.js` */
export function compiled(path: string): string {
  const text = textOf.get(path) ?? readFileSync(join(root, "dist", `${path}.js`), "utf8");
  textOf.set(path, text);
  return text;
}

const importsIn = new Map<string, readonly string[]>();

/** Specifiers as XS resolves them: relative ones against the importer's name. */
export function importsOf(name: string, path: string): readonly string[] {
  const key = `${name} ${path}`;
  const known = importsIn.get(key);
  if (known) return known;
  const statements = compiled(path).matchAll(
    /^(?:import|export)\s(?:[^"';]*?\sfrom\s)?\s*"([^"]+)";/gm,
  );
  const found = [...statements].map(([, specifier = ""]) =>
    specifier.startsWith(".")
      ? normalize(join(dirname(name), specifier)).replace(/\.js$/, "")
      : specifier,
  );
  importsIn.set(key, found);
  return found;
}
