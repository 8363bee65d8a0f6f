// Starts the echo server of the TLS contract and writes what the contract app needs to know, as a manifest fragment.
import { writeFileSync } from "node:fs";
import type { TlsSubjectData } from "../../../contract/tls.js";
import { startEchoServer } from "../../tls-server.js";

type Encoded<Data> = {
  readonly [Name in keyof Data]: Data[Name] extends Uint8Array
    ? string
    : Data[Name] extends object
      ? Encoded<Data[Name]>
      : Data[Name];
};

export type ContractConfig = Encoded<TlsSubjectData>;

const path = process.argv[2];
if (path === undefined) throw new Error("name the file to write");
const { data } = await startEchoServer();
const text = JSON.stringify({ config: { contract: data } }, (_, value: unknown) =>
  value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value,
);
writeFileSync(path, text.replaceAll("\n", ""));
console.log(`echoing on 127.0.0.1:${data.port}, told in ${path}`);
