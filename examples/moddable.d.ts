// What firmware takes from Moddable and from the product manifest.

declare function trace(...text: string[]): void;

declare module "mc/config" {
  const config: {
    readonly sensorNode?: import("./sensor-node/sensor-node.js").SensorNodeConfig;
    readonly board?: import("./sensor-node/moddable/config.js").BoardConfig;
    /** Seconds since 1970, as text. */
    readonly builtAt?: string;
    readonly firmwareVersion?: string;
  };
  export default config;
}

declare module "skerry/hosts/moddable/host" {
  export const host: import("../src/host.js").Host;
  export const network: { onStatus: (status: { readonly type: string }) => void };
}

declare module "skerry/examples/sensor-node/moddable/platform/board" {
  export const openBoard: typeof import("./sensor-node/moddable/simulator/board.js").openBoard;
}

declare module "mc/ffi" {
  /** Its methods are the functions that the manifest's `ffi` names. */
  const FFI: new () => object;
  export default FFI;
}

declare module "embedded:io/digital" {
  export default class Digital {
    static readonly Output: number;
    static readonly InputPullUp: number;
    static readonly Falling: number;
    constructor(options: {
      readonly pin: number;
      readonly mode: number;
      readonly edge?: number;
      onReadable?(): void;
    });
    read(): number;
    write(level: number): void;
  }
}
