// How a device that runs AWS's SDK earns its identity by claim.

import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { type Access, connect } from "./aws-connection.js";

export interface Task extends Pick<Access, "version" | "style" | "port" | "trustAnchor"> {
  readonly claim: { readonly certificate: string; readonly key: string };
  readonly template: string;
  readonly serialNumber: string;
  readonly keys: "device" | "cloud";
}

export interface Provisioned {
  readonly thingName: string;
  readonly certificateId: string;
  readonly certificate: string;
  readonly key: string;
}

x509.cryptoProvider.set(webcrypto);

async function newKey(): Promise<{ key: string; request: string }> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: "CN=AWS IoT Device SDK",
    keys,
    signingAlgorithm: algorithm,
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { key: x509.PemConverter.encode(pkcs8, "PRIVATE KEY"), request: csr.toString("pem") };
}

export async function provision(task: Task): Promise<Provisioned> {
  const { claim, template: templateName, serialNumber } = task;
  const { services, close } = await connect({ ...task, ...claim, clientId: serialNumber });
  const own = task.keys === "device" ? await newKey() : undefined;
  const { certificateId, certificatePem, certificateOwnershipToken, privateKey } =
    await services.certify(own?.request);
  const { thingName } = await services.registerThing({
    templateName,
    certificateOwnershipToken: certificateOwnershipToken!,
    parameters: { SerialNumber: serialNumber },
  });
  await close();
  return {
    thingName: thingName!,
    certificateId: certificateId!,
    certificate: certificatePem!,
    key: own?.key ?? privateKey!,
  };
}
