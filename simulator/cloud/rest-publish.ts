// A publish over REST as a message: what MQTT 5 says in properties is in the query and the headers here. Pure.

import { isObject, type Json, parseJson } from "./json.js";
import type { BrokerLimits } from "./limits.js";
import { messageFault, toMessage } from "./packet-rules.js";
import type { Properties, UserProperty } from "./properties.js";
import { MalformedPacket } from "./reasons.js";
import type { RestRequest } from "./rest-answers.js";
import type { Message } from "./session.js";

const headerPrefix = "x-amz-mqtt5-";
const formats: Readonly<Record<string, boolean>> = Object.freeze({
  UNSPECIFIED_BYTES: false,
  UTF8_DATA: true,
});

/** @throws MalformedPacket naming what is wrong; a reserved topic is not judged but for retaining */
export function publishOf(
  topic: string,
  request: RestRequest,
  limits: BrokerLimits,
  now: number,
): Message {
  const qos = oneOf(request, "qos", { "0": 0, "1": 1 } as const) ?? 0;
  const retain = oneOf(request, "retain", { false: false, true: true }) ?? false;
  const properties = propertiesOf(request);
  const fault = messageFault(topic, retain, properties, limits);
  if (fault !== undefined) throw new MalformedPacket(fault.detail);
  return toMessage({ topic, payload: request.body, qos, retain }, properties, limits, now);
}

function propertiesOf({ query, headers }: RestRequest): Properties {
  const contentType = query.get("contentType") || undefined;
  const responseTopic = query.get("responseTopic") || undefined;
  const messageExpiryInterval = secondsOf(query.get("messageExpiry"));
  const format = headers[`${headerPrefix}payload-format-indicator`] || undefined;
  const correlation = headers[`${headerPrefix}correlation-data`] || undefined;
  if (format !== undefined && !Object.hasOwn(formats, format)) {
    throw new MalformedPacket("payload-format-indicator is not UNSPECIFIED_BYTES or UTF8_DATA");
  }
  return {
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(messageExpiryInterval === undefined ? {} : { messageExpiryInterval }),
    ...(format === undefined ? {} : { payloadFormatIndicator: formats[format] === true }),
    ...(correlation === undefined ? {} : { correlationData: fromBase64(correlation) }),
    userProperties: userPropertiesOf(headers[`${headerPrefix}user-properties`]),
  };
}

/** @returns undefined when it is not said */
function oneOf<T>(
  { query }: RestRequest,
  name: string,
  values: Readonly<Record<string, T>>,
): T | undefined {
  const text = query.get(name) || undefined;
  if (text === undefined) return undefined;
  if (Object.hasOwn(values, text)) return values[text];
  throw new MalformedPacket(`${name} is not ${Object.keys(values).join(" or ")}`);
}

/** Model: a long of at least 0; 0 does not expire. */
function secondsOf(text: string | null): number | undefined {
  if (!text) return undefined;
  if (!/^\d{1,10}$/.test(text))
    throw new MalformedPacket("messageExpiry is not a number of seconds");
  return Number(text) || undefined;
}

/** Base64 of a JSON array of objects, each with one pair of texts. */
function userPropertiesOf(header: string | undefined): readonly UserProperty[] {
  if (!header) return [];
  const parsed = parseJson(fromBase64(header), 2);
  if (parsed.ok && Array.isArray(parsed.value)) return parsed.value.flatMap(pairOf);
  throw new MalformedPacket("user-properties is not a list of objects");
}

function pairOf(value: Json): [UserProperty] {
  const [pair, more] = isObject(value) ? Object.entries(value) : [];
  const [name, text] = pair ?? [];
  if (name !== undefined && typeof text === "string" && more === undefined) return [[name, text]];
  throw new MalformedPacket("a user property is not an object with one text");
}

function fromBase64(text: string): Buffer {
  if (/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return Buffer.from(text, "base64");
  throw new MalformedPacket("a header is not base64");
}
