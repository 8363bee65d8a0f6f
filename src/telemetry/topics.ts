// Where telemetry goes: a template with variables, checked once, with all that never changes filled in.
import { basicIngestTopic, countedTopic } from "../cloud/topics.js";
import { AgentError } from "../errors.js";
import { checkTopic } from "../mqtt/packet.js";

export interface TopicOptions {
  /**
   * May name `{org}`, `{env}`, `{type}`, `{thing}` and `{channel}`, which is `{category}` as well. Default
   * `{org}/{env}/{type}/{thing}/{category}` when one of the first three is given, else `dt/{thing}/{channel}`.
   */
  readonly topic?: string;
  readonly org?: string;
  readonly env?: string;
  readonly type?: string;
  /** Of the rules engine: messages go to it by Basic Ingest, and to nobody else. 1 to 128 of A-Z a-z 0-9 _. */
  readonly rule?: string;
}

const short = "dt/{thing}/{channel}";
const long = "{org}/{env}/{type}/{thing}/{category}";
const longestThing = 128;
const longestChannel = 64;

/**
 * @param channels   the product's; of any name when there are none
 * @param thingName  undefined when it is not known yet: then there has to be room for the longest
 * @returns          a template for `topicOf`, in which only thing and channel are open
 * @throws           AgentError "agent/options" naming the option and the value
 */
export function checkTopicTemplate(
  options: TopicOptions,
  channels: readonly string[] = [],
  thingName?: string,
): string {
  const { org, env, type, rule } = options;
  const topic = options.topic ?? ((org ?? env ?? type) === undefined ? short : long);
  const template = topic.replace(/\{[^{}]*\}|[{}]/g, found => filled(found, topic, options));
  if (channels.length !== 1 && !template.includes("{channel}"))
    fail(`topic "${topic}" has no {channel}`);
  if (rule !== undefined) {
    if (topic.startsWith("$")) fail(`topic "${topic}" is the service's own, and there is a rule`);
    checkRule(rule);
  }
  const whole = rule === undefined ? template : basicIngestTopic(rule, template);
  checkReserved(whole);
  const thing = thingName ?? "t".repeat(longestThing);
  const channel = longestOf(channels) ?? "c".repeat(longestChannel);
  checkLongest(whole, topic, thing, channel);
  return whole;
}

/** The topic a checked template stands for. */
export function topicOf(template: string, thingName: string, channel = ""): string {
  // Not `replace`: to it `$&` in a name would be a command.
  return template.split("{thing}").join(thingName).split("{channel}").join(channel);
}

function filled(found: string, topic: string, options: TopicOptions): string {
  switch (found) {
    case "{thing}":
    case "{channel}":
      return found;
    case "{category}":
      return "{channel}";
    case "{org}":
      return checkValue("org", options.org, topic);
    case "{env}":
      return checkValue("env", options.env, topic);
    case "{type}":
      return checkValue("type", options.type, topic);
    default:
      return fail(`topic "${topic}" has ${found}, which is no variable`);
  }
}

function checkValue(name: string, value: string | undefined, topic: string): string {
  if (value === undefined) fail(`${name} is missing: topic "${topic}" names it`);
  if (typeof value !== "string" || value === "" || /[/+#{}\0]/.test(value))
    fail(`${name} "${value}" is not one level of a topic`);
  return value;
}

function checkRule(rule: string): void {
  if (!/^[A-Za-z0-9_]{1,128}$/.test(rule)) fail(`rule "${rule}" is not 1 to 128 of A-Z a-z 0-9 _`);
}

/** What begins with `$` is the service's own, but for Basic Ingest. */
function checkReserved(template: string): void {
  if (!template.startsWith("$")) return;
  const [service, rules, rule = "", ...rest] = template.split("/");
  if (service !== "$aws" || rules !== "rules" || rest.length === 0)
    fail(`topic "${template}" is the service's own`);
  checkRule(rule);
  if (countedTopic(template).startsWith("$")) fail(`topic "${template}" is the service's own`);
}

function longestOf(channels: readonly string[]): string | undefined {
  let longest: string | undefined;
  for (const channel of channels) if (channel.length > (longest?.length ?? 0)) longest = channel;
  return longest;
}

function checkLongest(template: string, topic: string, thing: string, channel: string): void {
  try {
    checkTopic(topicOf(template, thing, channel));
  } catch (cause) {
    const longest = `with a thing of ${thing.length} and a channel of ${channel.length} characters`;
    fail(`topic "${topic}", ${longest}: ${(cause as Error).message}`);
  }
}

function fail(reason: string): never {
  throw new AgentError("agent/options", `options.telemetry.${reason}`);
}
