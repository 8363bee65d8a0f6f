import { checkTopic } from "../../../src/mqtt/packet.js";
import { checkTopicTemplate, topicOf } from "../../../src/telemetry/topics.js";
import { check, equal, refuses, refusesWith } from "../harness.js";

check("topics: the template as it is by default, with an owner, and by Basic Ingest", () => {
  const owner = { org: "acme", env: "prod", type: "sensor" };
  const topic = (options: object) => topicOf(checkTopicTemplate(options), "node-1", "climate");
  equal(topic({}), "dt/node-1/climate");
  equal(topic(owner), "acme/prod/sensor/node-1/climate");
  equal(topic({ rule: "climate" }), "$aws/rules/climate/dt/node-1/climate");
  equal(topic({ ...owner, rule: "all_1" }), "$aws/rules/all_1/acme/prod/sensor/node-1/climate");
  const twice = checkTopicTemplate({ topic: "{category}/{thing}/{channel}/{thing}" }, [], "node-1");
  equal(topicOf(twice, "node-1", "climate"), "climate/node-1/climate/node-1");
  equal(topic({ topic: "{org}/{channel}", org: "a$&b" }), "a$&b/climate");
  equal(topic({ topic: "$aws/rules/r/{thing}/{channel}" }), "$aws/rules/r/node-1/climate");
  // As the will has it.
  equal(topicOf("will/{thing}", "node-1"), "will/node-1");
});

check("topics: what cannot be a template is refused by name and value", () => {
  const owner = { org: "acme", env: "prod", type: "sensor" };
  const bad: readonly (readonly [object, string])[] = [
    [{ topic: "{things}/{channel}" }, "has {things}, which is no variable"],
    [{ topic: "{thing/{channel}" }, "has {, which is no variable"],
    [{ topic: "thing}/{channel}" }, "has }, which is no variable"],
    [{ topic: "" }, 'topic "" has no {channel}'],
    [{ topic: "{thing}" }, 'topic "{thing}" has no {channel}'],
    [{ topic: "{thing}/+/{channel}" }, "wildcard"],
    [{ topic: "{thing}/{channel}/#" }, "wildcard"],
    [{ org: "acme" }, "telemetry.env is missing"],
    [{ ...owner, env: "" }, 'telemetry.env "" is not one level'],
    [{ ...owner, env: "a/b" }, 'telemetry.env "a/b" is not one level'],
    [{ ...owner, type: "a+" }, 'telemetry.type "a+" is not one level'],
    [{ ...owner, type: "{thing}" }, 'telemetry.type "{thing}" is not one level'],
    [{ ...owner, org: "$aws" }, "is the service's own"],
    [{ ...owner, org: "\ud800" }, "unpaired surrogate"],
    [{ rule: "" }, 'telemetry.rule "" is not'],
    [{ rule: "a-b" }, 'telemetry.rule "a-b" is not'],
    [{ rule: "r".repeat(129) }, "is not 1 to 128"],
    [{ rule: "r", topic: "$aws/rules/r/{channel}" }, "and there is a rule"],
    [{ topic: "$aws/things/{thing}/{channel}" }, "is the service's own"],
    [{ topic: "$aws/rules/{channel}" }, "is the service's own"],
    [{ topic: "$aws/rules/r/$aws/{channel}" }, "is the service's own"],
    [{ topic: "$aws/rules/a-b/{channel}" }, 'rule "a-b" is not'],
    [{ topic: "1/2/3/4/5/6/7/8/{channel}" }, "has 8 slashes"],
    [{ topic: "1/2/3/4/5/6/7/8/{channel}", rule: "r" }, "has 8 slashes"],
    [{ ...owner, org: "o".repeat(51) }, "topic of 257 bytes"],
  ];
  for (const [options, part] of bad) refusesWith(part, () => checkTopicTemplate(options));
  checkTopicTemplate({ topic: "1/2/3/4/5/6/7/{channel}", rule: "r" });
});

check("topics: one declared channel needs no place, and names that are known are measured", () => {
  const topic = "sites/north/{thing}";
  equal(checkTopicTemplate({ topic }, ["climate"]), topic);
  refusesWith("no {channel}", () => checkTopicTemplate({ topic }, ["climate", "power"]));
  const long = { topic: `${"x".repeat(256 - 9 - 8)}/{thing}/{channel}` };
  refusesWith("topic of 433 bytes", () => checkTopicTemplate(long));
  checkTopicTemplate(long, ["climate", "door"], "node-123");
  refusesWith("a thing of 9 and a channel of 7", () =>
    checkTopicTemplate(long, ["climate", "door"], "node-1234"),
  );
});

check("topics: Basic Ingest's own levels count neither for length nor for depth", () => {
  checkTopic(`$aws/rules/${"r".repeat(128)}/1/2/3/4/5/6/7/${"x".repeat(242)}`);
  refuses(() => checkTopic(`$aws/rules/r/${"x".repeat(257)}`), "config");
  refuses(() => checkTopic("$aws/rules/r/1/2/3/4/5/6/7/8/9"), "config");
  refuses(() => checkTopic("$aws/rules/r/"), "config");
});
