// `npm run esp32`: from a cloned repository to firmware on a board, by the SDK's own tools.
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import { type BoardFlags, runStep, type Step } from "./board.js";
import { type ConfigureFlags, configure } from "./configure.js";
import { Problems } from "./problem.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));

function whole(least: number, most: number) {
  return (text: string): number => {
    const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isInteger(number) || number < least || number > most)
      throw new InvalidArgumentError(`It is not ${least} to ${most}.`);
    return number;
  };
}

function matching(pattern: RegExp, what: string) {
  return (text: string): string => {
    if (!pattern.test(text)) throw new InvalidArgumentError(`It is not ${what}.`);
    return text;
  };
}

const toVersion = matching(
  /^\d{1,5}\.\d{1,5}\.\d{1,5}(-[0-9A-Za-z.-]{1,32})?$/,
  "a version such as 1.1.0",
);
const toSerial = matching(/^[A-Za-z0-9_-]{1,64}$/, "1 to 64 of A-Z a-z 0-9 _ -");
const toTarget = matching(
  /^[A-Za-z0-9_]{1,64}$/,
  "a folder of the SDK's build/devices/esp32/targets",
);

const program = new Command("esp32").description(
  "Firmware for ESP32 boards, by the Moddable SDK and ESP-IDF: the sensor node, or another manifest.",
);

function step(name: Step, description: string, more: (command: Command) => void): void {
  const command = program
    .command(name)
    .description(description)
    .option("--config <file>", "endpoint, anchors and claim", ".skerry/firmware.json")
    .option("--subplatform <name>", "the board, as the SDK calls it", toTarget, "nodemcu")
    .option("--manifest <file>", "what is built", "examples/sensor-node/manifest.json")
    .option("--out <folder>", "where it is built", "dist/esp32")
    .addOption(
      new Option("--flash <MB>", "the board's flash").choices(["4", "8", "16"]).default("4"),
    )
    .option("--firmware <version>", "version of the firmware", toVersion, "1.0.0")
    .option("--serial <number>", "another serial number than the configuration's", toSerial)
    .option("--debug", "with the SDK's debugger, which has to be running")
    .allowExcessArguments(false)
    .action((flags: BoardFlags) => runStep(name, absolute(flags), surroundings()));
  more(command);
}

const withPort = (command: Command) =>
  command.option("--port <device>", "the board's serial port; default: the only one there is");

step("build", "compile and link it", () => undefined);
step("flash", "build it, and write it to a board", withPort);
step("monitor", "show what a board says; Ctrl-] ends", withPort);

const collect = (text: string, before: readonly string[] = []) => [...before, text];

program
  .command("configure")
  .description("Wi-Fi and pins of the bench; another cloud than the local one")
  .option("--config <file>", "default: .skerry/firmware.json, with --endpoint .skerry/aws.json")
  .option("--ssid <name>", "name of the Wi-Fi; its password is asked for")
  .addOption(new Option("--password <text>", "seen by whoever lists processes").conflicts("open"))
  .addOption(new Option("--password-file <file>", "its first line").conflicts("open"))
  .option("--open", "it has no password")
  .option("--led <pin>", "GPIO of the lamp", whole(0, 63))
  .option("--led-on <level>", "what lights it, 0 or 1", whole(0, 1))
  .option("--button <pin>", "GPIO of the button, which connects it to ground", whole(0, 63))
  .option("--time-server <name>", "of SNTP; may be given several times", collect)
  .option("--window <seconds>", "one message for the readings of so long", whole(1, 604_800))
  .option("--endpoint <name>", "of AWS, or of whatever speaks like it")
  .option("--endpoint-port <number>", "default 8883", whole(1, 65_535))
  .option("--anchor <file>", "PEM certificate of its root; may be given several times", collect)
  .option("--claim <file>", "PEM certificate of the provisioning claim")
  .option("--claim-key <file>", "its key")
  .option("--template <name>", "provisioning template; its parameter is SerialNumber")
  .option("--thing <name>", "in the place of a claim: the thing this one board is")
  .option("--certificate <file>", "its certificate")
  .option("--key <file>", "its key")
  .option("--serial <number>", "serial number; default: the chip's own", toSerial)
  .option("--signer <file>", "PEM public key of who signs updates")
  .addHelpText(
    "after",
    `
Examples:
  configure --ssid "Bench"                       and then its password
  configure --endpoint a1b2c3-ats.iot.eu-west-1.amazonaws.com --anchor AmazonRootCA1.pem \\
    --claim claim.pem.crt --claim-key claim.pem.key --template sensor-node --signer release.pub.pem
The files it writes are for you alone: the password, the claim and its key are in them, and in the firmware.`,
  )
  .allowExcessArguments(false)
  .action(async (flags: ConfigureFlags) => {
    for (const line of await configure(flags)) console.log(line);
  });

function absolute(flags: BoardFlags): BoardFlags {
  const { config, out } = flags;
  return {
    ...flags,
    config: resolve(config),
    out: resolve(out),
    manifest: resolve(flags.manifest),
  };
}

function surroundings() {
  const { env } = process;
  return {
    root,
    environment: env,
    now: () => Date.now(),
    say: (line: string) => console.log(line),
  };
}

program.parseAsync().catch((error: unknown) => {
  const words = error instanceof Error ? error.message : String(error);
  console.error(
    error instanceof Problems ? `This has to be put right first:\n${words}` : `esp32: ${words}`,
  );
  process.exit(1);
});
