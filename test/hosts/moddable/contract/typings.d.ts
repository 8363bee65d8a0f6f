// What the contract app takes from Moddable.

declare function trace(...text: string[]): void;

declare module "mc/config" {
  /** As `serve.ts` writes it: bytes as base64. */
  const config: { readonly contract: import("./serve.js").ContractConfig };
  export default config;
}
