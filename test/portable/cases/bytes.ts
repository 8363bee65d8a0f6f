import { certificationRequest } from "../../../src/trust/csr.js";
import { element, objectIdentifier } from "../../../src/trust/der.js";
import { parsePem, toPem } from "../../../src/trust/pem.js";
import { fromBase64, fromUtf8, toBase64, toUtf8 } from "../../../src/util/bytes.js";
import { check, equal, refuses } from "../harness.js";

const hex = (bytes: Uint8Array) =>
  Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join("");

check("bytes: UTF-8 of one to four bytes goes there and back", () => {
  const text = "aé€😀\u0000\uffff\u{10ffff}";
  equal(hex(toUtf8("aé€😀")), "61c3a9e282acf09f9880");
  equal(fromUtf8(toUtf8(text)) === text, true);
  equal(fromUtf8(toUtf8("x".repeat(1000))).length, 1000);
});

check("bytes: every byte is UTF-8 only below 0x80", () => {
  for (let byte = 0x80; byte < 0x100; byte++)
    refuses(() => fromUtf8(Uint8Array.of(byte)), "protocol");
});

check("bytes: base64 as in RFC 4648 section 10", () => {
  const vectors = [
    "",
    "",
    "f",
    "Zg==",
    "fo",
    "Zm8=",
    "foo",
    "Zm9v",
    "foob",
    "Zm9vYg==",
    "fooba",
    "Zm9vYmE=",
    "foobar",
    "Zm9vYmFy",
  ];
  for (let i = 0; i < vectors.length; i += 2) {
    equal(toBase64(toUtf8(vectors[i]!)), vectors[i + 1]!);
    equal(fromUtf8(fromBase64(vectors[i + 1]!)!), vectors[i]!);
  }
  equal(hex(fromBase64("+/+/\r\n +/==")!), "fbffbffb");
});

check("bytes: what is not base64 is refused", () => {
  for (const text of ["Z", "Zg", "Zg=", "Zg===", "Z===", "====", "Zm=v", "Zm9v!", "Zm9vé"])
    equal(fromBase64(text), undefined, text);
});

check("pem: blocks in order, with text around them", () => {
  const one = toPem(
    Uint8Array.from({ length: 100 }, (_, i) => i),
    "CERTIFICATE",
  );
  const two = toPem(Uint8Array.of(1), "CERTIFICATE");
  const blocks = parsePem(`subject=x\n${one}issuer=y\n${two}`, "CERTIFICATE", "chain");
  equal(blocks.length, 2);
  equal(blocks[0]!.length, 100);
  equal(blocks[1]![0], 1);
});

check("pem: damaged, absent and too many blocks are refused", () => {
  const block = toPem(Uint8Array.of(1, 2, 3), "CERTIFICATE");
  refuses(() => parsePem("", "CERTIFICATE", "x"), "protocol");
  refuses(() => parsePem(block, "PRIVATE KEY", "x"), "protocol");
  refuses(() => parsePem(block.replace("AQID", "A*ID"), "CERTIFICATE", "x"), "protocol");
  refuses(() => parsePem(block.slice(0, 40), "CERTIFICATE", "x"), "protocol");
  refuses(() => parsePem(block.repeat(9), "CERTIFICATE", "x"), "protocol");
});

check("der: lengths in their shortest form, arcs in base 128", () => {
  equal(hex(element(4, new Uint8Array(127)).subarray(0, 2)), "047f");
  equal(hex(element(4, new Uint8Array(128)).subarray(0, 3)), "048180");
  equal(hex(element(4, new Uint8Array(256)).subarray(0, 4)), "04820100");
  equal(hex(objectIdentifier(1, 2, 840, 10045, 4, 3, 2)), "06082a8648ce3d040302");
});

check("csr: the signature covers the information and follows it", () => {
  let signed: Uint8Array | undefined;
  const request = certificationRequest("node", new Uint8Array(65).fill(4), message => {
    signed = message;
    return Uint8Array.of(0x30, 0);
  });
  equal(hex(request).includes(hex(signed!)), true);
  equal(hex(request).endsWith("300a06082a8648ce3d04030203030030" + "00"), true);
});
