// CreateOTAUpdate, rule by rule: chapters 5.1 to 5.3 of the notes on AWS's protocol.

import { generateKeyPairSync, sign, verify } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { placeholderLocation } from "../../../simulator/cloud/ota-document.js";
import type { OtaRequest } from "../../../simulator/cloud/ota-request.js";
import { download } from "./objects-rig.js";
import {
  afrOtaOf,
  firmware,
  otaRig,
  pemOf,
  privateKey,
  publicKey,
  s3Location,
  target,
} from "./ota-rig.js";

type File = OtaRequest["files"][number];

const signature = sign("sha256", firmware, privateKey).toString("base64");
const custom = {
  customCodeSigning: {
    signature: { inlineDocument: signature },
    certificateChain: { certificateName: "signer-cert", inlineDocument: "PEM of it" },
    hashAlgorithm: "SHA256",
    signatureAlgorithm: "ECDSA",
  },
} as const;
const signed: File = {
  fileName: "fw.bin",
  fileType: 0,
  fileVersion: "7",
  fileLocation: { s3Location },
  codeSigning: custom,
  attributes: { secret: "stays here" },
};
const placeholder =
  "$" + "{aws:iot:s3-presigned-url:https://s3.eu-west-1.amazonaws.com/images/lamp/fw%201.bin}";
const profile = {
  key: pemOf(privateKey),
  certificatePathOnDevice: "/certs/signer.pem",
  hashAlgorithm: "SHA256",
  signatureAlgorithm: "ECDSA",
} as const;

test("the job document over MQTT is AWS's, member by member", async t => {
  const { cloud, jobs, make } = await otaRig(t);
  const { status, streamId } = await make("1111", {
    files: [signed],
    additionalParameters: { a: "stays here" },
  });
  t.is(status, "CREATE_COMPLETE");
  t.regex(streamId ?? "", /^AFR_OTA-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  const [job, more] = jobs;
  t.is(more, undefined);
  t.deepEqual(job, {
    jobId: "AFR_OTA-1111",
    targets: [target],
    document: {
      afr_ota: {
        protocols: ["MQTT"],
        streamname: streamId,
        files: [
          {
            filepath: "fw.bin",
            filesize: firmware.length,
            fileid: 0,
            certfile: "signer-cert",
            fileType: 0,
            "sig-sha256-ecdsa": signature,
          },
        ],
      },
    },
  } as never);
  t.is(
    JSON.stringify(job?.document),
    `{"afr_ota":{"protocols":["MQTT"],"streamname":"${streamId}","files":[{"filepath":"fw.bin","filesize":34000,"fileid":0,"certfile":"signer-cert","fileType":0,"sig-sha256-ecdsa":"${signature}"}]}}`,
  );
  const stream = cloud.files.streams.find(streamId!);
  t.like(stream, { streamVersion: 1, files: [{ fileId: 0, size: firmware.length, s3Location }] });
});

test("over HTTP there is no stream, and an address that is presigned at each delivery", async t => {
  const { cloud, jobs, make } = await otaRig(t);
  await make("http", { files: [signed], protocols: ["HTTP"], roleArn: "arn:role" });
  t.deepEqual(jobs[0]?.document, {
    afr_ota: {
      protocols: ["HTTP"],
      files: [
        {
          filepath: "fw.bin",
          filesize: firmware.length,
          fileid: 0,
          certfile: "signer-cert",
          fileType: 0,
          update_data_url: placeholder,
          auth_scheme: "aws.s3.presigned",
          "sig-sha256-ecdsa": signature,
        },
      ],
    },
  });
  t.deepEqual(jobs[0]?.presignedUrlConfig, { roleArn: "arn:role", expiresInSec: 1800 });
  t.deepEqual(cloud.files.streams.list(), []);
  const address = placeholder.slice(placeholder.indexOf("https"), -1);
  const { status, body } = await download(cloud, cloud.files.presignAddress(address, 1800));
  t.is(status, 200);
  t.deepEqual(body, Buffer.from(firmware));
});

test("with both protocols the document has a stream and addresses", async t => {
  const { jobs, make } = await otaRig(t);
  const config = { expiresInSec: 60 };
  await make("both", { protocols: ["HTTP", "MQTT"], awsJobPresignedUrlConfig: config });
  const ota = afrOtaOf(jobs);
  t.deepEqual(Object.keys(ota), ["protocols", "streamname", "files"]);
  t.like(ota, { protocols: ["HTTP", "MQTT"], files: [{ update_data_url: placeholder }] });
  t.is(jobs[0]?.presignedUrlConfig?.expiresInSec, 60);
});

test("an unsigned file has neither certificate nor signature; a name that is not given is not said", async t => {
  const { jobs, make } = await otaRig(t);
  await make("bare", {});
  t.like(jobs[0]?.document, { afr_ota: { files: [{ filesize: firmware.length, fileid: 0 }] } });
  const ota = afrOtaOf(jobs);
  t.deepEqual(Object.keys(ota.files[0]!), ["filesize", "fileid"]);
});

test("several files have their place for an id, in document and stream", async t => {
  const { cloud, jobs, make } = await otaRig(t);
  await cloud.files.objects.put("images", "second", new Uint8Array(5));
  const second: File = { fileLocation: { s3Location: { bucket: "images", key: "second" } } };
  const { streamId } = await make("two", { files: [signed, second] });
  const files = [
    { fileid: 0, filesize: 34_000 },
    { fileid: 1, filesize: 5 },
  ];
  t.like(jobs[0]?.document, { afr_ota: { files } });
  t.deepEqual(
    cloud.files.streams.find(streamId!)?.files.map(({ fileId, size }) => [fileId, size]),
    [
      [0, 34_000],
      [1, 5],
    ],
  );
});

test("a stream of one's own is used as it is", async t => {
  const { cloud, jobs, make } = await otaRig(t);
  cloud.files.streams.create("mine", { files: [{ fileId: 9, s3Location }] });
  const file: File = { fileLocation: { stream: { streamId: "mine", fileId: 9 } } };
  t.is((await make("own", { files: [file] })).streamId, undefined);
  t.like(jobs[0]?.document, {
    afr_ota: { streamname: "mine", files: [{ fileid: 9, filesize: 34_000 }] },
  });
});

test("a signing profile signs the object as it is", async t => {
  const { cloud, jobs, make } = await otaRig(t);
  cloud.codeSigning.putProfile("lamp_signer", profile);
  const codeSigning = { startSigningJobParameter: { signingProfileName: "lamp_signer" } };
  await make("profile", { files: [{ ...signed, codeSigning }] });
  const ota = afrOtaOf(jobs);
  const [file] = ota.files;
  t.is(file?.certfile, "/certs/signer.pem");
  const made = Buffer.from(file?.["sig-sha256-ecdsa"] ?? "", "base64");
  t.true(verify("sha256", firmware, publicKey, made));
});

for (const [hashAlgorithm, hash] of [
  ["SHA256", "sha256"],
  ["SHA1", "sha1"],
] as const) {
  test(`an RSA profile with ${hashAlgorithm}, by way of a signing job`, async t => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const { cloud, jobs, make } = await otaRig(t);
    const key = pemOf(rsa.privateKey);
    cloud.codeSigning.putProfile("rsa", {
      ...{ ...profile, key, hashAlgorithm, signatureAlgorithm: "RSA" },
    });
    const { jobId } = await cloud.codeSigning.startJob("rsa", s3Location);
    await make("job", { files: [{ ...signed, codeSigning: { awsSignerJobId: jobId } }] });
    const ota = afrOtaOf(jobs);
    const made = Buffer.from(ota.files[0]?.[`sig-${hash}-rsa`] ?? "", "base64");
    t.true(verify(hash, firmware, rsa.publicKey, made));
  });
}

test("a profile whose key does not fit is refused", async t => {
  const { cloud } = await otaRig(t);
  const put = (change: object) => () =>
    cloud.codeSigning.putProfile("p1", { ...profile, ...change });
  t.throws(put({ signatureAlgorithm: "RSA" }), {
    message: "Profile p1 signs with RSA, its key is ecdsa.",
  });
  t.throws(put({ key: "none" }), { message: /profile p1 holds no PEM/ });
  t.throws(() => cloud.codeSigning.putProfile("a name", profile), { message: /"a name" is not/ });
  t.false(cloud.codeSigning.hasProfile("p1"));
});

test("what the job is to be like goes to the job", async t => {
  const { jobs, make } = await otaRig(t);
  const rollout = { maximumPerMinute: 10 };
  const criteria = { failureType: "FAILED", action: "CANCEL", thresholdPercentage: 10 };
  await make("config", {
    description: "new firmware",
    targetSelection: "CONTINUOUS",
    awsJobExecutionsRolloutConfig: rollout,
    awsJobAbortConfig: { abortCriteriaList: [criteria] },
    awsJobTimeoutConfig: { inProgressTimeoutInMinutes: 5 },
  });
  t.like(jobs[0], {
    description: "new firmware",
    targetSelection: "CONTINUOUS",
    jobExecutionsRolloutConfig: rollout,
    abortConfig: { criteriaList: [criteria] },
    timeoutConfig: { inProgressTimeoutInMinutes: 5 },
  });
  t.false("presignedUrlConfig" in jobs[0]!);
});

test("an update is pending, in progress, complete, and says so", async t => {
  const { cloud, eventsOf } = await otaRig(t);
  const files = [{ fileLocation: { s3Location } }];
  t.is(cloud.otaUpdates.create("a", { targets: [target], files }).status, "CREATE_PENDING");
  await cloud.idle();
  t.deepEqual(
    eventsOf("otaUpdateChanged").map(({ status }) => status),
    ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"],
  );
});

const failing: readonly [string, Partial<OtaRequest>, RegExp][] = [
  [
    "an object that is not there",
    { files: [{ fileLocation: { s3Location: { bucket: "images", key: "none" } } }] },
    /There is no object images\/none/,
  ],
  [
    "a stream that is not there",
    { files: [{ fileLocation: { stream: { streamId: "none", fileId: 0 } } }] },
    /There is no file 0 in stream none/,
  ],
  [
    "a profile that is not there",
    {
      files: [
        { ...signed, codeSigning: { startSigningJobParameter: { signingProfileName: "none" } } },
      ],
    },
    /Signing profile none does not exist/,
  ],
  [
    "a signing job that is not there",
    { files: [{ ...signed, codeSigning: { awsSignerJobId: "none" } }] },
    /There is no signing job none/,
  ],
];
for (const [title, request, message] of failing) {
  test(`an update fails: ${title}`, async t => {
    const { jobs, make } = await otaRig(t);
    const { status, errorInfo } = await make("failing", request);
    t.is(status, "CREATE_FAILED");
    t.is(errorInfo?.code, "InvalidRequest");
    t.regex(errorInfo?.message ?? "", message);
    t.deepEqual(jobs, []);
  });
}

test("an update fails when its job cannot be made", async t => {
  const { make, fault } = await otaRig(t);
  fault.error = new Error("no such thing");
  const failed = await make("a", {});
  t.like(failed, { status: "CREATE_FAILED", errorInfo: { message: "no such thing" } });
});

test("a signature made for another object is not used", async t => {
  const { cloud, make } = await otaRig(t);
  cloud.codeSigning.putProfile("signer", profile);
  const { jobId } = await cloud.codeSigning.startJob("signer", s3Location);
  await cloud.files.objects.put(s3Location.bucket, s3Location.key, new Uint8Array(9));
  const { errorInfo } = await make("a", {
    files: [{ ...signed, codeSigning: { awsSignerJobId: jobId } }],
  });
  t.regex(errorInfo?.message ?? "", /signed another object/);
});

const locations: readonly [string, object | undefined][] = [
  ["https://s3.eu-west-1.amazonaws.com/images/a/b%20c", { bucket: "images", key: "a/b c" }],
  ["https://s3.amazonaws.com/images/a?versionId=v1", { bucket: "images", key: "a", version: "v1" }],
  ["https://images.s3.eu-west-1.amazonaws.com/a/b", { bucket: "images", key: "a/b" }],
  ["https://example.com/images/a", undefined],
  ["http://s3.eu-west-1.amazonaws.com/images/a", undefined],
  ["https://s3.eu-west-1.amazonaws.com/images/%ff", undefined],
];
for (const [address, location] of locations) {
  test(`the address in a placeholder names an object: ${address}`, t => {
    t.deepEqual(placeholderLocation(address), location as never);
  });
}

const refused: readonly [string, string, object, RegExp][] = [
  ["no targets", "a", { targets: [] }, /targets/],
  ["no files", "a", { files: [] }, /files/],
  ["a file type above 255", "a", { files: [{ ...signed, fileType: 256 }] }, /files.0.fileType/],
  ["a protocol of another kind", "a", { protocols: ["FTP"] }, /protocols.0/],
  ["a protocol twice", "a", { protocols: ["MQTT", "MQTT"] }, /given twice/],
  [
    "no location",
    "a",
    { files: [{ fileLocation: {} }] },
    /files.0.fileLocation: exactly one is needed, there is none/,
  ],
  [
    "two ways to sign",
    "a",
    { files: [{ ...signed, codeSigning: { ...custom, awsSignerJobId: "x" } }] },
    /files.0.codeSigning: exactly one/,
  ],
  [
    "a signature that is not base64",
    "a",
    {
      files: [
        {
          ...signed,
          codeSigning: {
            customCodeSigning: { ...custom.customCodeSigning, signature: { inlineDocument: "§" } },
          },
        },
      ],
    },
    /Expected base64/,
  ],
  [
    "a URL that lives a week",
    "a",
    { awsJobPresignedUrlConfig: { expiresInSec: 604_800 } },
    /expiresInSec/,
  ],
  ["an id with a dot", "a.b", {}, /"a.b" is not 1 to 56/],
  ["an id that is too long for its job", "a".repeat(57), {}, /is not 1 to 56/],
];
for (const [title, id, change, message] of refused) {
  test(`an update is refused: ${title}`, async t => {
    const { cloud } = await otaRig(t);
    const request = { targets: [target], files: [signed], ...change } as OtaRequest;
    t.throws(() => cloud.otaUpdates.create(id, request), { code: "cloud/invalid-update", message });
    t.deepEqual(cloud.otaUpdates.list(), []);
  });
}

test("deleting an update deletes its job, and its stream when asked", async t => {
  const { cloud, make, removed, eventsOf } = await otaRig(t);
  const kept = await make("keep", {});
  const { streamId } = await make("all", {});
  await cloud.otaUpdates.remove("keep");
  await cloud.otaUpdates.remove("all", { deleteStream: true, forceDeleteAWSJob: true });
  t.deepEqual(removed, [
    ["AFR_OTA-keep", false],
    ["AFR_OTA-all", true],
  ]);
  t.truthy(cloud.files.streams.find(kept.streamId!));
  t.is(cloud.files.streams.find(streamId!), undefined);
  t.deepEqual(cloud.otaUpdates.list(), []);
  t.is(eventsOf("otaUpdateChanged").at(-1)?.status, "DELETED");
});

test("an update whose job cannot be deleted stays, DELETE_FAILED", async t => {
  const { cloud, make, fault } = await otaRig(t);
  await make("a", {});
  fault.error = new Error("the job is in progress");
  await t.throwsAsync(cloud.otaUpdates.remove("a"), { message: "the job is in progress" });
  t.is(cloud.otaUpdates.find("a")?.status, "DELETE_FAILED");
  await t.throwsAsync(cloud.otaUpdates.remove("none"), { code: "cloud/not-found" } as never);
});

test("updates, streams, profiles and objects outlive a restart of the cloud", async t => {
  const directory = await mkdtemp(join(tmpdir(), "skerry-ota-"));
  t.teardown(() => rm(directory, { recursive: true }));
  const first = await otaRig(t, { directory });
  first.cloud.codeSigning.putProfile("signer", profile);
  const made = await first.make("a", {});
  const url = first.cloud.files.downloads.presign(s3Location, 60);
  await first.cloud.close();
  const second = await otaRig(t, { directory });
  t.deepEqual(second.cloud.otaUpdates.find("a"), made);
  t.truthy(second.cloud.files.streams.find(made.streamId!));
  t.true(second.cloud.codeSigning.hasProfile("signer"));
  t.is((await download(second.cloud, url)).status, 200);
});
