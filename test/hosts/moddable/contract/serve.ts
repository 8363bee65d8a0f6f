// Starts the servers of the TLS and the MQTT contract and writes what the contract app needs to know: a manifest fragment, and beside it a
// module with the questions about certificates and signatures.
import { writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { MqttSubjectData } from "../../../contract/mqtt-client.js";
import type { TlsSubjectData } from "../../../contract/tls.js";
import { algorithmVectors, codeVectors } from "../../../trust/algorithm-vectors.js";
import { derVectors } from "../../../trust/der-vectors.js";
import { toText } from "../../../trust/engine.js";
import { nameVectors } from "../../../trust/name-vectors.js";
import { rightSignatures, wrongSignatures } from "../../../trust/signature-vectors.js";
import { pathVectors } from "../../../trust/vectors.js";
import { startObedientBroker } from "../../obedient-broker.js";
import { startEchoServer } from "../../tls-server.js";

type Encoded<Data> = {
  readonly [Name in keyof Data]: Data[Name] extends Uint8Array
    ? string
    : Data[Name] extends object
      ? Encoded<Data[Name]>
      : Data[Name];
};

export type ContractConfig = Encoded<TlsSubjectData & { readonly broker: MqttSubjectData }>;

const path = process.argv[2];
if (path === undefined) throw new Error("name the file to write");
const questions = resolve(dirname(path), "contract-questions");
const paths = [pathVectors, algorithmVectors, codeVectors, nameVectors, derVectors];
const signatures = [rightSignatures, wrongSignatures];
const texts = (list: readonly (() => readonly object[])[]) =>
  list.flatMap(make => make().map(toText));
writeFileSync(
  `${questions}.js`,
  `export const paths = ${JSON.stringify(texts(paths))};\n` +
    `export const signatures = ${JSON.stringify(texts(signatures))};\n`,
);

const [{ data }, broker] = await Promise.all([startEchoServer(), startObedientBroker()]);
const contract = { ...data, broker: broker.data };
const modules = { "skerry/test/hosts/moddable/contract/questions": questions };
const text = JSON.stringify({ config: { contract }, modules }, (_, value: unknown) =>
  value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value,
);
writeFileSync(path, text.replaceAll("\n", ""));
console.log(`echoing on 127.0.0.1:${data.port}, told in ${path}`);
