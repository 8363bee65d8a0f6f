// Resolves what the ESP32's modules import: ours to what tsc has written, the SDK's to stand-ins. @see fakes.ts
const dist = new URL("../../../../", import.meta.url);
const fakes = new URL("fakes.js", import.meta.url).href;

/** The SDK's modules, by the name of their stand-in. */
const standIns: Readonly<Record<string, string>> = {
  "embedded:io/socket/udp": "UDP",
  "embedded:network/interface/wifi": "WiFi",
  "embedded:storage/flash": "flash",
  "embedded:storage/key-value": "storage",
  "mc/config": "config",
  "mc/ffi": "FFI",
  net: "Net",
  time: "Time",
  timer: "Timer",
};

interface Resolved {
  readonly url: string;
  readonly shortCircuit?: boolean;
  readonly format?: string;
}

type Resolve = (
  specifier: string,
  context: object,
  next: (specifier: string, context: object) => Promise<Resolved>,
) => Promise<Resolved>;

export const resolve: Resolve = async (specifier, context, next) => {
  const standIn = standIns[specifier];
  if (standIn !== undefined) {
    const source = `export { ${standIn} as default } from ${JSON.stringify(fakes)};`;
    return { url: `data:text/javascript,${encodeURIComponent(source)}`, shortCircuit: true };
  }
  const ours = /^skerry\/(.*)$/.exec(specifier)?.[1];
  if (ours === undefined) return next(specifier, context);
  const path = ours.replace(/^platform\//, "hosts/moddable/esp32/");
  return { url: new URL(`${path}.js`, dist).href, shortCircuit: true };
};
