// Where a job's document comes from, and what is put into it: parameters once, presigned URLs at each delivery.

import { invalidJob, JobFault } from "./job-fault.js";
import { managedTemplate } from "./job-templates.js";
import type { JobConfig } from "./job-types.js";
import { isObject, parseJson } from "./json.js";
import type { JobLimits } from "./limits.js";

/** What the object store does for jobs. */
export interface JobObjects {
  /** A URL under which the object can be got for so long; asked at each delivery of a document. */
  presign?(bucket: string, key: string, expiresInSec: number): string;
  /** The bytes of an object that a job names as its document; undefined when there is none. */
  readObject?(bucket: string, key: string): Uint8Array | undefined;
}

const parameterPattern = /\$\{aws:iot:parameter:([a-zA-Z0-9_-]{1,128})\}/g;
const presignPattern = /\$\{aws:iot:s3-presigned-url:([^}]*)\}/g;
const defaultExpirySeconds = 3600;

export interface Documents {
  /** With the parameters' names still in it. */
  readonly before: string;
  readonly document: string;
}

/** @throws JobFault */
export function documentsOf(config: JobConfig, objects: JobObjects, limits: JobLimits): Documents {
  const before = sourceOf(config, objects);
  if (Buffer.byteLength(before) > limits.documentBytes) {
    throw invalidJob(`The job document is longer than ${limits.documentBytes} bytes`);
  }
  const document = withParameters(before, config);
  // Assumed: the bound holds for what comes of it too.
  if (Buffer.byteLength(document) > limits.documentBytes) {
    throw invalidJob(`The job document is longer than ${limits.documentBytes} bytes`);
  }
  const parsed = parseJson(Buffer.from(document), limits.jsonDepth);
  // Assumed: the document is an object, as it is one over MQTT.
  if (!parsed.ok || !isObject(parsed.value)) throw invalidJob("The job document is no JSON object");
  checkPresigned(document, config, objects);
  return { before, document };
}

/** As a device gets it now. @throws JobFault */
export function delivered(
  { document, presignedUrlConfig }: Pick<JobConfig, "presignedUrlConfig"> & { document: string },
  { presign }: JobObjects,
): string {
  const seconds = presignedUrlConfig?.expiresInSec ?? defaultExpirySeconds;
  return document.replace(presignPattern, (whole, url: string) => {
    const object = objectOf(unescaped(url));
    if (object === undefined || presign === undefined) return whole;
    return escaped(presign(object.bucket, object.key, seconds));
  });
}

function sourceOf(config: JobConfig, { readObject }: JobObjects): string {
  const { document, documentSource, jobTemplateArn, documentParameters } = config;
  const sources = [document, documentSource, jobTemplateArn].filter(each => each !== undefined);
  if (sources.length !== 1) {
    throw invalidJob("One of document, documentSource and jobTemplateArn is needed");
  }
  if (jobTemplateArn !== undefined) return templateOf(jobTemplateArn);
  if (documentParameters !== undefined) {
    throw invalidJob("documentParameters are for managed templates only");
  }
  if (documentSource === undefined) return document ?? "";
  const object = objectOf(documentSource);
  if (object === undefined) throw invalidJob("documentSource is not the address of an S3 object");
  if (readObject === undefined) {
    throw invalidJob("There is no object store here: give the document itself");
  }
  const bytes = readObject(object.bucket, object.key);
  if (bytes === undefined) throw invalidJob(`There is no object at ${documentSource}`);
  return Buffer.from(bytes).toString("utf8");
}

function templateOf(arn: string): string {
  const template = managedTemplate(arn);
  if (template !== undefined) return template.document;
  throw new JobFault("ResourceNotFound", `Job template ${arn} does not exist`);
}

/** Assumed: an optional parameter that is not given is the empty text, one the template has not is refused. */
function withParameters(document: string, config: JobConfig): string {
  const template = managedTemplate(config.jobTemplateArn ?? "");
  if (template === undefined) return document;
  const given = new Map(Object.entries(config.documentParameters ?? {}));
  for (const { key, optional } of template.documentParameters) {
    if (!optional && !given.has(key)) throw invalidJob(`The parameter ${key} is missing`);
  }
  for (const key of given.keys()) {
    const isKnown = template.documentParameters.some(each => each.key === key);
    if (!isKnown) throw invalidJob(`${template.templateName} has no parameter ${key}`);
  }
  return document.replace(parameterPattern, (_, key: string) => escaped(given.get(key) ?? ""));
}

function checkPresigned(document: string, config: JobConfig, { presign }: JobObjects): void {
  for (const [, url = ""] of document.matchAll(presignPattern)) {
    if (objectOf(unescaped(url)) === undefined) throw invalidJob(`${url} is no S3 object`);
    if (config.presignedUrlConfig === undefined) {
      throw invalidJob("A document with presigned URLs needs presignedUrlConfig");
    }
    if (presign === undefined) {
      throw invalidJob("There is no object store here that could presign a URL");
    }
  }
}

const pathStyle = /^https:\/\/s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com\/([^/?]+)\/([^?]+)/;
const hostStyle = /^https:\/\/([a-z0-9.-]+)\.s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com\/([^?]+)/;

function objectOf(url: string): { readonly bucket: string; readonly key: string } | undefined {
  const [, bucket, key] = pathStyle.exec(url) ?? hostStyle.exec(url) ?? [];
  if (bucket === undefined || key === undefined) return undefined;
  try {
    return { bucket: decodeURIComponent(bucket), key: decodeURIComponent(key) };
  } catch {
    return undefined;
  }
}

/** Inside a JSON text's quotes. */
function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** Some writers of JSON say `\/`. */
function unescaped(text: string): string {
  return text.replaceAll("\\/", "/");
}
