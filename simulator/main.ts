// The command line: the local cloud with one virtual sensor node, the tour, a bad network, the examination, images, or a bootloader.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { Command, InvalidArgumentError, Option } from "commander";
import { adviseCommand } from "./advisor/command.js";
import type { Engine } from "./fleet/device.js";
import type { Behaviour } from "./fleet/updatable.js";
import { makeFolder } from "./folder.js";
import { describePlace, placeOf, thisMachine } from "./lan.js";
import type { Line } from "./narrator.js";
import { format, lineOfBoot, lineOfCloud, lineOfStatus } from "./narrator.js";
import { keepRestEndpoint, restListen, shadowCommand } from "./rest-endpoint.js";
import { signCommand } from "./signing/command.js";
import { localSignerName, openLocalSigner } from "./signing/local-signer.js";
import { updateCommand, updateCommands } from "./update-command.js";
import { applyWords, faultWords } from "./world/fault-words.js";

interface RunOptions {
  readonly state: string;
  readonly port: number;
  readonly restPort?: number;
  readonly objectsPort?: number;
  readonly downloadsPort?: number;
  readonly serial: string;
  readonly allow: readonly string[];
  readonly lan?: true | readonly string[];
  readonly engine: Engine;
  readonly device: boolean;
}

function say(who: "cloud" | "device", line: Line | undefined): void {
  if (line) console.log(format(new Date(), who, line));
}

function toPort(text: string): number {
  const port = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError("It is not 0 to 65535.");
  return port;
}

function toSerial(text: string): string {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text))
    throw new InvalidArgumentError("It is not 1 to 64 of A-Z a-z 0-9 _ -.");
  return text;
}

function toVersion(text: string): string {
  if (!/^\d{1,5}\.\d{1,5}\.\d{1,5}(-[0-9A-Za-z.-]{1,32})?$/.test(text))
    throw new InvalidArgumentError("It is not a version such as 1.1.0 or 1.2.0-rc.1.");
  return text;
}

const engineOption = () =>
  new Option("--engine <name>", "what runs the device").choices(["node", "xs"]).default("node");

const imageHelp = `
What an image does:
  good       what it should
  crashes    ends while it starts: the machine starts again, into the image before
  offline    finds no cloud: given up after 60 seconds
  unhealthy  connects, and a check of the product fails: given up after 60 seconds

Its product is "sensor-node", its hardware "devkit".

Examples:
  skerry image --version 1.1.0 good.bin
  skerry image --version 1.2.0 --behaviour crashes bad.bin`;

const program = new Command("skerry")
  .description(
    "A local AWS IoT cloud and a virtual sensor node, over mutual TLS; on this machine only, unless --lan is given.",
  )
  .option(
    "--state <folder>",
    "where certificates, registry, shadows and the device's flash live",
    ".skerry",
  )
  .option("--port <number>", "port to listen on, 0 for any", toPort, 8883)
  .option(
    "--rest-port <number>",
    "port of REST, 0 for any; default: that of the last start, else 8880, else any",
    toPort,
  )
  .option(
    "--objects-port <number>",
    "port of the S3 API for uploads, 0 for any; default: 8881, else any",
    toPort,
  )
  .option(
    "--downloads-port <number>",
    "port of presigned downloads, HTTPS, 0 for any; default: 8443, else any",
    toPort,
  )
  .option(
    "--serial <number>",
    "serial number of the device; the cloud lets just this one in",
    toSerial,
    "SN-0001",
  )
  .option(
    "--allow <number>",
    "serial number of another device that is let in; may be given several times",
    (text, others: readonly string[]) => [...others, toSerial(text)],
    [],
  )
  .option(
    "--lan [name-or-address...]",
    "for boards on the bench: listens for MQTT and downloads beyond this machine, as these (default: its own addresses); no virtual node",
  )
  .addOption(engineOption())
  .option("--no-device", "only the cloud, for a device of your own")
  .argument(
    "[command]",
    "tour, advise, proxy, image, sign, update, boot, pack, or nothing to run the cloud and the device",
  )
  .action((command: string | undefined, options: RunOptions) => {
    if (command !== undefined) program.error(`error: unknown command '${command}'`);
    return run(options);
  });

program
  .command("tour")
  .description(
    "play the whole story in a temporary folder and show a table; exit code 0 when every step was seen",
  )
  .addOption(engineOption())
  .allowExcessArguments(false)
  // The same option stands on the program; the one given last, here, counts.
  .action((_options, command: Command) =>
    runTour((command.optsWithGlobals() as { engine: Engine }).engine),
  );

program
  .command("proxy")
  .description("a bad network in front of a port of this machine, TLS passed on as it is")
  .requiredOption("--to <port>", "port of the local cloud", toPort)
  .option("--listen <port>", "port to listen on, 0 for any", toPort, 0)
  .addHelpText("after", `\nWhat it takes on its standard input, line by line:\n${faultWords}`)
  .allowExcessArguments(false)
  .action(runProxy);

program.addCommand(adviseCommand(toPort));
program.addCommand(signCommand());
program.addCommand(updateCommand());

program
  .command("image")
  .description("an image of firmware for the virtual device, good or bad, to try an update with")
  .requiredOption(
    "--version <version>",
    "its version, such as 1.1.0; the device begins with 1.0.0",
    toVersion,
  )
  .addOption(
    new Option("--behaviour <name>", "what it does once it runs")
      .choices(["good", "crashes", "offline", "unhealthy"])
      .default("good"),
  )
  .addHelpText("after", imageHelp)
  .argument("<file>", "the image to write")
  .allowExcessArguments(false)
  .action(makeImage);

program
  .command("boot")
  .description(
    "a bootloader for firmware of Moddable's desktop simulator: slots, trial and the way back as on an ESP32",
  )
  .requiredOption("--home <folder>", "the simulator's home: slots, and whatever the device keeps")
  .option("--image <file>", "what a new device starts with; made by 'pack'")
  .argument("<command...>", "behind --: the simulator; the path of the firmware is put behind it")
  .allowExcessArguments(false)
  .action(runBoot);

program
  .command("pack")
  .description("wrap firmware for the desktop simulator, mc.so, as an image for a slot")
  .requiredOption("--product <name>", "product the image is for")
  .requiredOption("--version <version>", "its version, such as 1.4.0")
  .requiredOption("--out <file>", "the image to write")
  .argument("<firmware>", "mc.so, as mcconfig has built it")
  .allowExcessArguments(false)
  .action(pack);

async function run(options: RunOptions): Promise<void> {
  const { Cloud } = await import("./cloud/cloud.js");
  const { startDevice } = await import("./fleet/device.js");
  const state = resolve(options.state);
  const place =
    options.lan === undefined ? thisMachine : placeOf(options.lan === true ? [] : options.lan);
  makeFolder(state);
  console.log(`State lives in ${options.state}. Ctrl-C ends.`);
  const signer = openLocalSigner(state);
  // From now on: what is open is closed in good order.
  const ended = interrupted();
  let hint = true;
  let running: string | undefined;
  let restPort: number | undefined;
  let objectsPort: number | undefined;
  let downloadsPort = 0;
  const cloud = await Cloud.open({
    directory: join(state, "cloud"),
    listen: { host: place.host, port: options.port },
    serverNames: place.names,
    rest: restListen(state, options.restPort),
    objects: {
      uploads: localPort(options.objectsPort, 8881),
      downloads: {
        ...localPort(options.downloadsPort, 8443),
        host: place.host,
        name: place.endpoint,
      },
    },
    allow: [options.serial, ...options.allow],
    onEvent: event => {
      say("cloud", lineOfCloud(event));
      if (event.type === "uploadsListening") objectsPort = event.port;
      if (event.type === "downloadsListening") downloadsPort = event.port;
      if (event.type === "restListening") restPort = event.port;
      // Said once, when it works and has not scrolled away yet.
      if (!hint || event.type !== "clientConnected" || event.thingName === undefined) return;
      hint = false;
      console.log(`\nNow change the device:\n  ${shadowCommand(state, event.thingName)}\n`);
      if (running !== undefined)
        console.log(`Or give it new firmware:\n${updateCommands(options, running)}\n`);
    },
  });
  // Of a start that has failed nothing is kept.
  if (restPort !== undefined) keepRestEndpoint(state, restPort, objectsPort);
  cloud.codeSigning.putProfile(localSignerName, signer.profile);
  const { certificate, key, trustAnchor } = cloud.claim();
  const config = {
    endpoint: place.endpoint,
    port: cloud.port!,
    trustAnchors: [trustAnchor],
    claim: { certificate, key },
    template: "sensor-node",
    serialNumber: options.serial,
    product: "sensor-node",
    hardware: "devkit",
    signers: [{ name: localSignerName, publicKey: signer.key.publicKey }],
    threshold: 1,
  };
  // What firmware for this cloud is built with: hosts/moddable/README.md.
  const firmware = JSON.stringify({ config: { sensorNode: config } }, null, 2);
  const firmwarePath = join(state, "firmware.json");
  rmSync(firmwarePath, { force: true });
  writeFileSync(firmwarePath, `${firmware}\n`, { mode: 0o600 });
  if (options.lan !== undefined) {
    const firmware = join(options.state, "firmware.json");
    console.log(describePlace(place, { port: cloud.port!, downloads: downloadsPort, firmware }));
  }
  try {
    const device =
      options.device && options.lan === undefined
        ? await startDevice({
            engine: options.engine,
            directory: join(state, "device"),
            config,
            onStatus: status => say("device", lineOfStatus(status)),
            onBoot: event => {
              if (event.type === "started") running = event.version;
              say("device", lineOfBoot(event));
            },
            onCrash: fail,
          })
        : undefined;
    await ended;
    await device?.stop();
  } finally {
    await cloud.close();
  }
  console.log("Stopped. The next start goes on from here.");
}

/** Only a port that was asked for has to be free. */
function localPort(port: number | undefined, preferred: number) {
  return { host: "127.0.0.1", port: port ?? preferred, orAny: port === undefined } as const;
}

function interrupted(): Promise<void> {
  return new Promise(resolve => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}

async function runProxy({ to, listen }: { to: number; listen: number }): Promise<void> {
  const { FaultProxy } = await import("./world/proxy.js");
  const proxy = await FaultProxy.listen({ to, port: listen });
  console.log(`Listening on 127.0.0.1:${proxy.port}, on to port ${to}. Ctrl-C ends.`);
  const lines = createInterface({ input: process.stdin });
  lines.on("line", line => {
    if (line.trim() === "") return;
    try {
      const faults = applyWords(proxy.faults, line);
      if (faults === "cut") proxy.cutAll();
      else proxy.faults = faults;
      console.log(`${line.trim()}: ${proxy.open} links, ${JSON.stringify(proxy.faults)}`);
    } catch (error) {
      console.log((error as Error).message);
    }
  });
  await interrupted();
  lines.close();
  await proxy.close();
}

async function runBoot(
  command: [string, ...string[]],
  { home, image }: { home: string; image?: string },
): Promise<void> {
  const { runSlots } = await import("./bootloader.js");
  const folder = resolve(home);
  makeFolder(folder);
  const abort = new AbortController();
  interrupted().then(() => abort.abort());
  await runSlots({
    home: folder,
    command,
    signal: abort.signal,
    ...(image === undefined ? {} : { image: readFileSync(image) }),
    onEvent: event => {
      const words =
        event.type === "ended"
          ? `ended: ${event.status}`
          : `${event.slot} starts, version ${event.version}${event.isOnTrial ? ", on trial" : ""}`;
      console.log(`bootloader: ${words}`);
    },
  });
  // What listens for a signal would keep the process.
  process.exit();
}

async function makeImage(
  file: string,
  { version, behaviour }: { version: string; behaviour: Behaviour },
): Promise<void> {
  const { packBehaviour } = await import("./fleet/images.js");
  const image = packBehaviour({ version, behaviour });
  writeFileSync(file, image);
  console.log(`${file}: ${image.length} bytes, sensor-node ${version}, ${behaviour}`);
}

async function pack(
  firmware: string,
  { product, version, out }: { product: string; version: string; out: string },
): Promise<void> {
  const { packFirmware } = await import("./bootloader.js");
  const image = packFirmware(firmware, product, version);
  writeFileSync(out, image);
  console.log(`${out}: ${image.length} bytes, ${product} ${version}`);
}

async function runTour(engine: Engine): Promise<void> {
  const { tableOf, tour } = await import("./tour.js");
  const steps = await tour(engine, say);
  console.log(`\n${tableOf(steps)}`);
  const failed = steps.filter(({ ok }) => !ok).length;
  console.log(
    failed === 0
      ? `\nAll ${steps.length} steps were seen on both sides.`
      : "\nThe tour ended early.",
  );
  process.exitCode = failed === 0 ? 0 : 1;
}

/** One sentence, no stack: what is wrong and where. */
function fail(error: unknown): void {
  console.error(`skerry: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

program.parseAsync().catch(fail);
