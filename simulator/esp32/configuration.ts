// What firmware is built with: the file of `npm start` or of `configure`, and the Wi-Fi beside it, as one manifest fragment.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { BoardConfig } from "../../examples/sensor-node/moddable/config.js";
import type { Problem } from "./problem.js";

export interface WiFi {
  readonly ssid: string;
  /** Absent for a network that is open. */
  readonly password?: string;
}

/** What belongs to the bench and not to the cloud: it stays when another `npm start` writes its file anew. */
export interface Bench {
  readonly wifi?: WiFi;
  readonly board?: BoardConfig;
  /** Servers for the time, where the bench does not reach those of the Internet. */
  readonly sntp?: readonly string[];
  /** Of the sensor node. */
  readonly windowSeconds?: number;
}

export interface Fragment {
  readonly config: Readonly<Record<string, unknown>> & {
    readonly sensorNode: Readonly<Record<string, unknown>>;
  };
}

const benchName = "bench.json";

/** Beside the configuration, whichever that is. */
export function benchPath(config: string): string {
  return join(dirname(config), benchName);
}

/** @throws Error for a file that is there and is no JSON object */
export function readBench(config: string): Bench {
  const path = benchPath(config);
  const bench = parse(path) ?? {};
  if (typeof bench !== "object" || Array.isArray(bench))
    throw new Error(`${path} is no JSON object.`);
  return bench;
}

export function writeBench(config: string, bench: Bench): void {
  writeSecret(benchPath(config), `${JSON.stringify(bench, null, 2)}\n`);
}

export interface Choice {
  /** The file of the cloud. */
  readonly config: string;
  /** Another serial number than the one in it. */
  readonly serial?: string;
}

/** @returns the fragment, or what is missing in it */
export function gather({ config, serial }: Choice): {
  readonly fragment?: Fragment;
  readonly problems: readonly Problem[];
} {
  let cloud: {
    readonly config?: { readonly sensorNode?: Record<string, unknown> | null } | null;
  } | null;
  let bench: Bench;
  try {
    cloud = parse(config) as typeof cloud;
    bench = readBench(config);
  } catch (error) {
    return { problems: [{ what: (error as Error).message, mend: "Mend it, or write it anew." }] };
  }
  if (cloud === undefined)
    return {
      problems: [
        {
          what: `There is no configuration ${config}.`,
          mend: "For the local cloud `npm start -- --lan` writes .skerry/firmware.json; for AWS see `npm run esp32 -- configure --help`.",
        },
      ],
    };
  const node = cloud?.config?.sensorNode ?? undefined;
  const problems = [...faultsOf(config, node), ...(bench.wifi ? [] : [noWiFi])];
  if (node === undefined || problems.length > 0) return { problems };
  const { wifi, board, sntp, windowSeconds } = bench;
  return {
    problems,
    fragment: {
      config: {
        ...cloud?.config,
        ...wifi,
        ...(board === undefined ? {} : { board }),
        ...(sntp === undefined ? {} : { sntp }),
        sensorNode: {
          ...node,
          ...(serial === undefined ? {} : { serialNumber: serial }),
          ...(windowSeconds === undefined ? {} : { windowSeconds }),
        },
      },
    },
  };
}

/** Only what has changed is written: the SDK goes by the times of files. */
export function writeFragment(path: string, fragment: Fragment): void {
  const text = `${JSON.stringify(fragment, null, 2)}\n`;
  let before: string | undefined;
  try {
    before = readFileSync(path, "utf8");
  } catch {
    // The first time.
  }
  if (before !== text) writeSecret(path, text);
}

const noWiFi: Problem = {
  what: "There is no Wi-Fi in the configuration.",
  mend: 'npm run esp32 -- configure --ssid "YOUR WI-FI"',
};

function faultsOf(path: string, node: Record<string, unknown> | undefined): Problem[] {
  if (node === undefined)
    return [
      {
        what: `${path} has no config.sensorNode.`,
        mend: "`npm start -- --lan` writes such a file, `npm run esp32 -- configure` another.",
      },
    ];
  const { endpoint, port, trustAnchors } = node;
  const isRight = {
    endpoint: typeof endpoint === "string",
    port: Number.isInteger(port),
    trustAnchors: Array.isArray(trustAnchors) && trustAnchors.length > 0,
  };
  const missing = Object.entries(isRight).flatMap(([name, right]) => {
    if (right) return [];
    const what = `${path} has ${node[name] === undefined ? "no" : "a wrong"} config.sensorNode.${name}.`;
    return [{ what, mend: "`npm start -- --lan` writes all of them." }];
  });
  if (typeof endpoint !== "string" || !/^(localhost|127\..*|::1)$/i.test(endpoint)) return missing;
  const what = `The endpoint in ${path} is ${endpoint}: on a board that is the board itself.`;
  return [...missing, { what, mend: "Start the cloud for boards: npm start -- --lan" }];
}

/** @returns undefined for a file that is not there. @throws Error for one that is no JSON */
function parse(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Error(`${path} cannot be read: ${(error as Error).message}`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${path} is no JSON: ${(error as Error).message}`);
  }
}

/** Claim, keys and password are for their owner only, also where a file of another mode was there before. */
export function writeSecret(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  rmSync(path, { force: true });
  writeFileSync(path, text, { mode: 0o600 });
}
