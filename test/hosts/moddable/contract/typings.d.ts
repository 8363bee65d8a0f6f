// What the contract app, and ../lean, take from Moddable.

declare function trace(...text: string[]): void;

declare module "skerry/test/hosts/moddable/contract/questions" {
  /** JSON in the words of `test/trust/engine.ts`: a Vector each, and a SignatureVector each. */
  export const paths: readonly string[];
  export const signatures: readonly string[];
}

declare module "skerry/platform/*" {
  export const openPartition: import("../../../../hosts/bounded-flash.js").OpenPartition;
}

declare module "skerry/hosts/moddable/sdk-mqtt/client" {
  export const SDKClient: import("../../../../src/mqtt/client.js").MQTTClientConstructor;
}

declare module "mc/config" {
  /** As `serve.ts` writes it: bytes as base64. */
  const config: {
    readonly contract: import("./serve.js").ContractConfig;
    /** Of ../lean. */
    readonly lean: import("../../../../src/index.js").OwnIdentity &
      Required<
        Pick<import("../../../../src/index.js").AgentOptions, "endpoint" | "port" | "trustAnchors">
      >;
  };
  export default config;
}
