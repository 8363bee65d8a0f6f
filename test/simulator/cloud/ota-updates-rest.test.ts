// Streams and OTA updates over the control plane's REST: chapters 12.1 and 12.4 of the notes on AWS's protocol.

import { spawn } from "node:child_process";
import { once } from "node:events";
import test, { type ExecutionContext } from "ava";
import { ask } from "./objects-rig.js";
import { firmware, otaRig, s3Location, target } from "./ota-rig.js";

const rest = { host: "127.0.0.1", port: 0 } as const;
const arn = "arn:aws:iot:eu-west-1:000000000000:";
const roleArn = "arn:aws:iam::000000000000:role/any";

async function restRig(t: ExecutionContext) {
  const rig = await otaRig(t, { rest });
  const url = `http://127.0.0.1:${rig.cloud.restPort}`;
  const call = async (method: string, path: string, body?: object) => {
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    const { status, headers, body: answer } = await ask(`${url}${path}`, { method, ...text });
    return {
      status,
      type: headers["x-amzn-errortype"],
      headers,
      body: JSON.parse(answer.toString()),
    };
  };
  return { ...rig, url, call };
}

const content = { files: [{ fileId: 0, s3Location }], roleArn, description: "firmware" };

test("CreateStream, DescribeStream, UpdateStream, ListStreams, DeleteStream", async t => {
  const { call, time } = await restRig(t);
  const summary = {
    streamId: "fw",
    streamArn: `${arn}stream/fw`,
    description: "firmware",
    streamVersion: 1,
  };
  const created = await call("POST", "/streams/fw", content);
  t.is(created.status, 200);
  t.deepEqual(created.body, summary);
  t.regex(created.headers["x-amzn-requestid"] ?? "", /^[0-9a-f-]{36}$/);
  const at = time.now() / 1000;
  time.advance(1500);
  const described = await call("GET", "/streams/fw");
  t.deepEqual(described.body, {
    streamInfo: {
      ...summary,
      files: [{ fileId: 0, s3Location }],
      createdAt: at,
      lastUpdatedAt: at,
      roleArn,
    },
  });
  const updated = await call("PUT", "/streams/fw", { description: "other" });
  t.deepEqual(updated.body, { ...summary, description: "other", streamVersion: 2 });
  t.is((await call("GET", "/streams/fw")).body.streamInfo.lastUpdatedAt, at + 1.5);
  const { body: list } = await call("GET", "/streams");
  t.deepEqual(list, { streams: [{ ...summary, description: "other", streamVersion: 2 }] });
  t.deepEqual((await call("DELETE", "/streams/fw")).body, {});
  for (const method of ["GET", "DELETE"]) {
    t.like(await call(method, "/streams/fw"), { status: 404, type: "ResourceNotFoundException" });
  }
});

test("errors have the control plane's names", async t => {
  const { call, make } = await restRig(t);
  await call("POST", "/streams/fw", content);
  t.like(await call("POST", "/streams/fw", content), {
    status: 409,
    type: "ResourceAlreadyExistsException",
    body: { resourceId: "fw", resourceArn: `${arn}stream/fw` },
  });
  const bad: readonly [string, string, object | undefined, RegExp][] = [
    ["POST", "/streams/other", { ...content, files: [] }, /1 to 10 files/],
    ["POST", "/streams/other", { files: content.files }, /roleArn/],
    ["POST", "/streams/a.b", content, /"a.b" is not/],
    [
      "POST",
      "/streams/other",
      { ...content, files: [{ fileId: 256, s3Location }] },
      /256 is not 0 to 255/,
    ],
    [
      "POST",
      "/streams/other",
      { ...content, files: [...content.files, ...content.files] },
      /twice/,
    ],
    [
      "POST",
      "/streams/other",
      { ...content, files: [{ fileId: 0, s3Location: { bucket: "images", key: "none" } }] },
      /no object images\/none/,
    ],
    ["GET", "/streams?maxResults=0", undefined, /maxResults/],
    ["GET", "/otaUpdates?nextToken=x", undefined, /nextToken/],
    ["POST", "/otaUpdates/a", { targets: [target], files: [], roleArn }, /files/],
    [
      "POST",
      "/otaUpdates/a",
      { targets: [target], files: [{ fileLocation: { s3Location } }] },
      /roleArn/,
    ],
  ];
  for (const [method, path, body, message] of bad) {
    const answer = await call(method, path, body);
    t.like(answer, { status: 400, type: "InvalidRequestException" }, path);
    t.regex(answer.body.message, message);
  }
  await make("a", {});
  const again = { targets: [target], files: [{ fileLocation: { s3Location } }], roleArn };
  t.like(await call("POST", "/otaUpdates/a", again), {
    status: 409,
    body: { resourceId: "a", resourceArn: `${arn}otaupdate/a` },
  });
  t.is((await call("PATCH", "/otaUpdates/a")).status, 404);
});

test("lists come in pages", async t => {
  const { call, cloud } = await restRig(t);
  for (const id of ["a", "b", "c"]) cloud.files.streams.create(id, { files: content.files });
  const first = await call("GET", "/streams?maxResults=2");
  const ids = (answer: { body: { streams: { streamId: string }[] } }): string[] =>
    answer.body.streams.map(({ streamId }) => streamId);
  t.deepEqual(ids(first), ["a", "b"]);
  const second = await call("GET", `/streams?maxResults=2&nextToken=${first.body.nextToken}`);
  t.deepEqual(ids(second), ["c"]);
  t.false("nextToken" in second.body);
  t.deepEqual(ids(await call("GET", "/streams?isAscendingOrder=false")).sort(), ["a", "b", "c"]);
});

test("CreateOTAUpdate, GetOTAUpdate, ListOTAUpdates, DeleteOTAUpdate", async t => {
  const { call, cloud, time, jobs } = await restRig(t);
  const files = [{ fileName: "fw.bin", fileVersion: "1", fileLocation: { s3Location } }];
  const names = {
    otaUpdateId: "a",
    otaUpdateArn: `${arn}otaupdate/a`,
    awsIotJobId: "AFR_OTA-a",
    awsIotJobArn: `${arn}job/AFR_OTA-a`,
  };
  const created = await call("POST", "/otaUpdates/a", { targets: [target], files, roleArn });
  t.is(created.status, 200);
  t.deepEqual(created.body, { ...names, otaUpdateStatus: "CREATE_PENDING" });
  await cloud.idle();
  t.is(jobs.length, 1);
  const at = time.now() / 1000;
  const got = await call("GET", "/otaUpdates/a");
  t.deepEqual(got.body, {
    otaUpdateInfo: {
      ...names,
      otaUpdateStatus: "CREATE_COMPLETE",
      creationDate: at,
      lastModifiedDate: at,
      targets: [target],
      protocols: ["MQTT"],
      otaUpdateFiles: files,
    },
  });
  const shown = { otaUpdateId: "a", otaUpdateArn: names.otaUpdateArn, creationDate: at };
  t.deepEqual((await call("GET", "/otaUpdates")).body, { otaUpdates: [shown] });
  const failed = await call("GET", "/otaUpdates?otaUpdateStatus=CREATE_FAILED");
  t.deepEqual(failed.body, { otaUpdates: [] });
  const path = "/otaUpdates/a?deleteStream=true&forceDeleteAWSJob=true";
  t.is((await call("DELETE", path)).status, 200);
  t.deepEqual(cloud.files.streams.list(), []);
  t.is((await call("GET", "/otaUpdates/a")).status, 404);
});

test("AWS's command line creates an update", async t => {
  const { url, cloud, jobs } = await restRig(t);
  const inlineDocument = Buffer.from("signature");
  const codeSigning = {
    customCodeSigning: {
      signature: { inlineDocument: inlineDocument.toString("base64") },
      certificateChain: { certificateName: "signer" },
      hashAlgorithm: "SHA256",
      signatureAlgorithm: "ECDSA",
    },
  };
  const files = [{ fileName: "fw.bin", fileLocation: { s3Location }, codeSigning }];
  const options = { "ota-update-id": "a", "role-arn": roleArn, targets: target, protocols: "MQTT" };
  const child = spawn(
    "aws",
    [
      ...["iot", "create-ota-update", "--endpoint-url", url, "--region", "eu-west-1"],
      ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]),
      ...["--files", JSON.stringify(files)],
    ],
    {
      env: {
        ...process.env,
        AWS_ACCESS_KEY_ID: "any",
        AWS_SECRET_ACCESS_KEY: "any",
        AWS_EC2_METADATA_DISABLED: "true",
        NO_PROXY: "127.0.0.1",
      },
    },
  );
  let out = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", text => (out += text));
  const [code] = await Promise.race([once(child, "close"), once(child, "error")]);
  if (typeof code !== "number") return t.pass("aws is not installed");
  t.is(code, 0, out);
  await cloud.idle();
  t.like(JSON.parse(out), { otaUpdateId: "a", awsIotJobId: "AFR_OTA-a" });
  t.like(jobs[0]?.document, {
    afr_ota: { files: [{ filesize: firmware.length, certfile: "signer" }] },
  });
});
