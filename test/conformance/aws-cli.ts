// AWS's command line, which tests run where it is installed; it takes the local cloud for AWS.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import test from "ava";

const isInstalled = spawnSync("aws", ["--version"]).status === 0;
if (!isInstalled) {
  const what = "the running device is not updated with it";
  test(`AWS's command line is not installed here: ${what}`, t => t.pass());
}
/** Skipped where it is not installed. */
export const withCli = isInstalled ? test : test.skip;

export type Answer = Readonly<Record<string, unknown>>;

/** Throws all that was printed when the command fails. */
export async function aws(url: string, ...args: string[]): Promise<Answer> {
  const where = ["--endpoint-url", url, "--region", "eu-west-1", "--output", "json"];
  const child = spawn("aws", [...args, ...where], {
    env: {
      ...process.env,
      AWS_ACCESS_KEY_ID: "any",
      AWS_SECRET_ACCESS_KEY: "any",
      AWS_EC2_METADATA_DISABLED: "true",
      NO_PROXY: "127.0.0.1",
    },
  });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", text => (out += text));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(out);
  return JSON.parse(out || "{}");
}
