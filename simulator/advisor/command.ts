// The command `advise`: its options, and nothing that takes long to load.
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";

interface Flags {
  /** Of the program. */
  readonly state: string;
  readonly listen?: true | number;
  readonly case?: readonly string[];
  readonly seed: number;
  readonly topic?: string;
  readonly desired?: object;
  readonly job?: object;
  readonly policy?: string;
  readonly list?: true;
  readonly old?: true;
}

const defaultPort = 8883;
/** Of what is not a terminal. */
const defaultColumns = 120;

function toSeed(text: string): number {
  const seed = Number(text);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new InvalidArgumentError("It is not a whole number.");
  return seed;
}

function toObject(text: string): object {
  const value = parsed(text);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new InvalidArgumentError('It is not a JSON object, as {"led":"blue"}.');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (_notJson) {
    return undefined;
  }
}

export function adviseCommand(toPort: (text: string) => number): Command {
  return new Command("advise")
    .description(
      "examine the agent by Device Advisor's documented cases; exit code 0 when none failed",
    )
    .option("--listen [port]", `examine the device that connects; port ${defaultPort}`, toPort)
    .option("--case <name...>", "only these cases")
    .option("--list", "name the cases")
    .option("--seed <number>", "chance in virtual time", toSeed, 1)
    .option("--old", "with --listen: refuse MQTT 5, to see how the device speaks 3.1.1")
    .option("--topic <name>", "with --listen: where messages for the device go")
    .option("--desired <json>", "with --listen: what is asked of its shadow", toObject)
    .option(
      "--job <json>",
      "with --listen: document of a job it can do; default is the sensor node's",
      toObject,
    )
    .option("--policy <file>", "with --listen: the policy on the device's certificate")
    .allowExcessArguments(false)
    .action((_options, command: Command) => run(command.optsWithGlobals()));
}

async function run(flags: Flags): Promise<void> {
  const { caseNames } = await import("./catalog.js");
  if (flags.list) {
    console.log(caseNames.join("\n"));
    return;
  }
  const { state, listen, seed, topic, desired, job, policy } = flags;
  const { advise } = await import("./advise.js");
  const isGood = await advise({
    ...(flags.case && { cases: flags.case }),
    seed,
    ...(listen !== undefined && { listen: listen === true ? defaultPort : listen }),
    directory: join(state, "advisor"),
    isOld: flags.old ?? false,
    ...(topic !== undefined && { topic }),
    ...(desired && { desired }),
    ...(job && { job }),
    ...(policy !== undefined && { policy }),
    columns: process.stdout.columns ?? defaultColumns,
    say: text => console.log(text),
  });
  process.exitCode = isGood ? 0 : 1;
}
