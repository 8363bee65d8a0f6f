// Where REST of a state folder listens: asked for, or as last time, or the default. And where its objects are put.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RestListen } from "./cloud/cloud.js";

const host = "127.0.0.1";
const defaultPort = 8880;
const fileName = "rest.json";

/** Only a port that was asked for has to be free. */
export function restListen(state: string, port: number | undefined): RestListen {
  if (port !== undefined) return { host, port };
  const kept = endpointIn(state);
  return { host, port: kept === undefined ? defaultPort : Number(kept.port), orAny: true };
}

/** For the next start and for other programs: `rest.json` in the state folder holds the addresses. */
export function keepRestEndpoint(state: string, port: number, objectsPort?: number): void {
  const path = join(state, fileName);
  const endpoint = `http://${host}:${port}`;
  const objects = objectsPort === undefined ? {} : { objects: `http://${host}:${objectsPort}` };
  const text = JSON.stringify({ endpoint, ...objects });
  rmSync(path, { force: true });
  writeFileSync(path, `${text}\n`, { mode: 0o600 });
}

/** The first thing to try: it changes the device while it runs. */
export function shadowCommand(state: string, thing: string): string {
  const body = JSON.stringify({ state: { desired: { sampleSeconds: 5 } } });
  return `curl -X POST ${endpointIn(state)?.origin}/things/${thing}/shadow -d '${body}'`;
}

/** Whatever cannot be read counts as nothing kept: it is written anew. */
export function endpointIn(
  state: string,
  name: "endpoint" | "objects" = "endpoint",
): URL | undefined {
  try {
    const kept: Partial<Record<string, string>> = JSON.parse(
      readFileSync(join(state, fileName), "utf8"),
    );
    const endpoint = new URL(kept[name] ?? "");
    return Number(endpoint.port) > 0 ? endpoint : undefined;
  } catch {
    return undefined;
  }
}
