// What the firmware entry takes from Moddable and from the product manifest.

declare function trace(...text: string[]): void;

declare module "mc/config" {
  const config: {
    readonly sensorNode?: import("../sensor-node.js").SensorNodeConfig;
    /** Seconds since 1970, as text. */
    readonly builtAt?: string;
    readonly firmwareVersion?: string;
  };
  export default config;
}

declare module "skerry/hosts/moddable/host" {
  export const host: import("../../../src/host.js").Host;
}
