// Requests for certificates: the agent's own and OpenSSL's are believed, none of their neighbours is.
import { execFileSync, spawnSync } from "node:child_process";
import test from "ava";
import { createCrypto } from "../../../hosts/node/crypto.js";
import { CsrError, verifiedKey } from "../../../simulator/cloud/signing-request.js";
import { certificationRequest } from "../../../src/trust/csr.js";
import { parsePem, toPem } from "../../../src/trust/pem.js";
import { countAllMutants, sum } from "../../trust/mutants.js";

const label = "CERTIFICATE REQUEST";
const crypto = createCrypto();
const { privateKey, publicKey } = crypto.generateKeyPair();
const request = certificationRequest("node-1", publicKey, message =>
  crypto.sign(privateKey, message),
);

function answerOf(der: Uint8Array): string {
  try {
    verifiedKey(toPem(der, label));
    return "accepted";
  } catch (error) {
    return error instanceof CsrError ? error.message : `not a CsrError: ${String(error)}`;
  }
}

test("trust: the agent's own request is believed", t => {
  t.deepEqual(verifiedKey(toPem(request, label)).slice(-65), publicKey);
});

test("trust: no cut and no other octet of a request is believed", t => {
  Error.stackTraceLimit = 0;
  const counts = countAllMutants(request, answerOf);
  t.log(sum(counts), counts);
  t.is(sum(counts), 256 * request.length);
  t.deepEqual(Object.keys(counts).sort(), [
    "CSR cannot be read",
    "CSR signature algorithm is not supported",
    "CSR signature does not match its key",
  ]);
});

test("trust: a request with bytes behind it, two requests, and none are refused", t => {
  const pem = toPem(request, label);
  t.throws(() => verifiedKey(toPem(Uint8Array.of(...request, 0), label)), { instanceOf: CsrError });
  for (const text of [pem + pem, "", "-----BEGIN", pem.replace("REQUEST", "REQUESTS")]) {
    t.throws(() => verifiedKey(text), { instanceOf: CsrError, message: "CSR cannot be read" });
  }
});

test("trust: requests that openssl makes are believed", t => {
  if (!spawnSync("openssl", ["version"], { encoding: "utf8" }).stdout?.startsWith("OpenSSL 3")) {
    t.log("openssl 3 is not installed: it is not asked");
    t.pass();
    return;
  }
  const ec = (curve: string) => ["ec", "-pkeyopt", `ec_paramgen_curve:${curve}`];
  const pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
  for (const [key, options] of [
    [ec("P-256"), ["-sha256"]],
    [ec("P-384"), ["-sha384"]],
    [ec("P-521"), ["-sha512", "-addext", "subjectAltName=DNS:a.example"]],
    [["rsa:2048"], ["-sha256"]],
    [["rsa:2048"], ["-sha256", ...pss]],
  ] as const) {
    const words = ["req", "-new", "-nodes", "-subj", "/O=Skerry/CN=node", "-keyout", "/dev/null"];
    const pem = execFileSync("openssl", [...words, "-newkey", ...key, ...options], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    t.notThrows(() => verifiedKey(pem), key.join(" "));
    t.is(parsePem(pem, label, "x").length, 1);
  }
});
