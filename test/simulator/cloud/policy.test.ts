import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { claimPolicy, devicePolicy } from "../../../simulator/cloud/defaults.js";
import { CloudError } from "../../../simulator/cloud/errors.js";
import { brokerLimits } from "../../../simulator/cloud/limits.js";
import {
  arnPrefix,
  compilePattern,
  matchesPattern,
  type PolicyDocument,
  PolicySet,
  parsePolicy,
} from "../../../simulator/cloud/policy.js";
import {
  evaluateTemplate,
  parseTemplate,
  TemplateError,
} from "../../../simulator/cloud/template.js";
import {
  isTopicFilter,
  isTopicName,
  isWithinLimits,
  TopicTree,
} from "../../../simulator/cloud/topics.js";

const variable = (name: string): string => `$\{${name}}`;

const matches = test.macro({
  exec: (t: ExecutionContext, pattern: string, text: string, expected: boolean) => {
    const compiled = compilePattern(pattern, { "iot:ClientId": "c*1" });
    t.is(compiled !== undefined && matchesPattern(compiled, text), expected);
  },
  title: (_, pattern, text, expected) =>
    `policy text ${pattern} ${expected ? "matches" : "does not match"} ${text}`,
});

test(matches, "a/b", "a/b", true);
test(matches, "a/b", "a/bc", false);
test(matches, "a/*", "a/b/c/d", true);
test(matches, "*", "", true);
test(matches, "a/?", "a/b", true);
test(matches, "a/?", "a/", false);
test(matches, "a/?/c", "a/bb/c", false);
test(matches, "a/+/c", "a/+/c", true);
test(matches, "a/+/c", "a/b/c", false);
test(matches, "a/#", "a/b", false);
test(matches, "*a*b*c", "xxaxxbxxc", true);
test(matches, "*a*b*c", "xxaxxcxxb", false);
test(matches, variable("iot:ClientId"), "c*1", true);
test(matches, variable("iot:ClientId"), "cc1", false); // substituted wildcards are literal
test(matches, variable("iot:Unknown"), variable("iot:Unknown"), false);

test("no policy text is slow to match", t => {
  const pattern = compilePattern("*a".repeat(40), {}) ?? [];
  t.false(matchesPattern(pattern, `${"a".repeat(5000)}b`));
});

function policy(
  ...statements: [effect: "Allow" | "Deny", action: string, resource: string][]
): PolicyDocument {
  return {
    Version: "2012-10-17",
    Statement: statements.map(([Effect, Action, resource]) => ({
      Effect,
      Action,
      Resource: resource === "*" ? "*" : arnPrefix + resource,
    })),
  };
}

test("nothing is allowed without an Allow", t => {
  t.false(new PolicySet([], {}).allows("iot:Publish", "topic/a"));
});

test("an explicit Deny in any policy wins", t => {
  const allow = policy(["Allow", "iot:*", "*"]);
  const deny = policy(["Deny", "iot:Publish", "topic/secret/*"]);
  const set = new PolicySet([allow, deny], {});
  t.true(set.allows("iot:Publish", "topic/open"));
  t.false(set.allows("iot:Publish", "topic/secret/x"));
  t.true(set.allows("iot:Receive", "topic/secret/x"));
});

test("a Deny with an unresolved variable does not match either", t => {
  const set = new PolicySet(
    [
      policy(
        ["Allow", "iot:*", "*"],
        ["Deny", "iot:Publish", `topic/${variable("iot:Connection.Thing.ThingName")}/x`],
      ),
    ],
    {},
  );
  t.true(set.allows("iot:Publish", "topic/anything/x"));
});

const thing = {
  "iot:ClientId": "node-1",
  "iot:Connection.Thing.ThingName": "node-1",
  "iot:Connection.Thing.IsAttached": "true",
};

const decides = test.macro({
  exec: (
    t: ExecutionContext,
    name: "claim" | "device",
    action: string,
    resource: string,
    expected: boolean,
  ) => {
    const document = name === "claim" ? claimPolicy : devicePolicy;
    const variables = name === "claim" ? { "iot:ClientId": "c" } : thing;
    t.is(
      new PolicySet([parsePolicy(name, document)], variables).allows(action, resource),
      expected,
    );
  },
  title: (_, name, action, resource, expected) =>
    `a ${name} ${expected ? "may" : "may not"} ${action} ${resource}`,
});

test(decides, "claim", "iot:Connect", "client/anything", true);
test(decides, "claim", "iot:Publish", "topic/$aws/certificates/create/json", true);
test(decides, "claim", "iot:Publish", "topic/$aws/certificates/create-from-csr/json", true);
test(
  decides,
  "claim",
  "iot:Publish",
  "topic/$aws/provisioning-templates/sensor-node/provision/json",
  true,
);
test(
  decides,
  "claim",
  "iot:Publish",
  "topic/$aws/provisioning-templates/other/provision/json",
  false,
);
test(decides, "claim", "iot:Subscribe", "topicfilter/$aws/certificates/create/json/accepted", true);
test(decides, "claim", "iot:Subscribe", "topicfilter/#", false);
test(decides, "claim", "iot:Publish", "topic/dt/node-1/x", false);
test(decides, "device", "iot:Connect", "client/node-1", true);
test(decides, "device", "iot:Connect", "client/node-2", false);
test(decides, "device", "iot:Publish", "topic/$aws/things/node-1/shadow/update", true);
test(decides, "device", "iot:Publish", "topic/$aws/things/node-1/shadow/name/config/update", true);
test(decides, "device", "iot:Publish", "topic/$aws/things/node-2/shadow/update", false);
test(decides, "device", "iot:Publish", "topic/$aws/things/node-12/shadow/update", false);
test(decides, "device", "iot:Subscribe", "topicfilter/$aws/things/node-1/jobs/notify-next", true);
test(decides, "device", "iot:Subscribe", "topicfilter/$aws/things/+/shadow/update/delta", false);
test(decides, "device", "iot:Receive", "topic/dt/node-1/cmd", true);
test(decides, "device", "iot:Publish", "topic/$aws/certificates/create/json", false);

test("a device that is not attached to its thing cannot connect", t => {
  const unattached = { "iot:ClientId": "node-1", "iot:Connection.Thing.IsAttached": "false" };
  t.false(new PolicySet([devicePolicy], unattached).allows("iot:Connect", "client/node-1"));
});

test("conditions compare variables, any value of a key and all keys", t => {
  const allowsUnder = (Condition: object): boolean => {
    const Statement = [{ Effect: "Allow", Action: "*", Resource: "*", Condition }];
    const document = parsePolicy("p", { Version: "2012-10-17", Statement });
    return new PolicySet([document], thing).allows("iot:Publish", "topic/a");
  };
  t.true(allowsUnder({ StringEquals: { "iot:ClientId": ["x", "node-1"] } }));
  t.false(allowsUnder({ StringEquals: { "iot:ClientId": "node-*" } }));
  t.true(allowsUnder({ StringLike: { "iot:ClientId": "node-*" } }));
  t.false(
    allowsUnder({
      StringLike: { "iot:ClientId": "node-*" },
      Bool: { "aws:SecureTransport": "true" },
    }),
  );
});

test("a policy with an operator that is not evaluated is refused by name", t => {
  const document = {
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Action: "*",
        Resource: "*",
        Condition: { IpAddress: { "aws:SourceIp": "10.0.0.0/8" } },
      },
    ],
  };
  const error = t.throws(() => parsePolicy("mine", document), { instanceOf: CloudError });
  t.regex(error.message, /^Policy mine: .*IpAddress/);
});

function matchTree(filters: string[], topic: string): string[] {
  const tree = new TopicTree<string>();
  for (const filter of filters) tree.add(filter, filter, { qos: 1, noLocal: false });
  return [...tree.match(topic).keys()].sort();
}

test("filters match as on AWS: a/# does not match a, wildcards do not match reserved topics", t => {
  const filters = ["#", "+", "a", "a/#", "a/+", "a/b", "+/b", "$aws/#", "a/+/c"];
  t.deepEqual(matchTree(filters, "a"), ["#", "+", "a"]);
  t.deepEqual(matchTree(filters, "a/b"), ["#", "+/b", "a/#", "a/+", "a/b"]);
  t.deepEqual(matchTree(filters, "a/b/c"), ["#", "a/#", "a/+/c"]);
  t.deepEqual(matchTree(filters, "$aws/b"), ["$aws/#"]);
  t.deepEqual(matchTree(filters, "/b"), ["#", "+/b"]);
});

test("removing a subscription leaves its neighbours", t => {
  const tree = new TopicTree<string>();
  tree.add("a/b/c", "one", { qos: 0, noLocal: false });
  tree.add("a/b", "two", { qos: 1, noLocal: false });
  tree.remove("a/b/c", "one");
  tree.remove("x/y", "nobody");
  t.deepEqual([...tree.match("a/b")], [["two", { qos: 1, noLocal: false }]]);
  t.is(tree.match("a/b/c").size, 0);
});

test("a filter that is matched, matches by the rules of the standard", t => {
  const level = fc.constantFrom("a", "b", "");
  const filter = fc.array(fc.oneof(level, fc.constant("+")), { minLength: 1, maxLength: 4 });
  t.notThrows(() =>
    fc.assert(
      fc.property(
        filter,
        fc.boolean(),
        fc.array(level, { minLength: 1, maxLength: 5 }),
        (parts, rest, topic) => {
          const text = [...parts, ...(rest ? ["#"] : [])].join("/");
          const same = parts.every(
            (part, index) => index < topic.length && (part === "+" || part === topic[index]),
          );
          const expected =
            same && (rest ? topic.length > parts.length : topic.length === parts.length);
          return matchTree([text], topic.join("/")).length === (expected ? 1 : 0);
        },
      ),
    ),
  );
});

test("names and filters are well formed and within limits", t => {
  for (const bad of ["", "a/#/b", "a#", "a+", "a/b+/c", "\u0000", "\uFFFD"])
    t.false(isTopicFilter(bad), bad);
  for (const good of ["#", "+", "a/+/#", "/", "a//b"]) t.true(isTopicFilter(good), good);
  for (const bad of ["", "+", "a/#"]) t.false(isTopicName(bad), bad);
  t.true(isWithinLimits("a/b/c/d/e/f/g/h", brokerLimits));
  t.false(isWithinLimits("a/b/c/d/e/f/g/h/i", brokerLimits));
  t.true(isWithinLimits("$aws/b/c/d/e/f/g/h/i/j", brokerLimits));
  t.false(isWithinLimits("é".repeat(129), brokerLimits));
});

const certificate = {
  Type: "AWS::IoT::Certificate",
  Properties: { CertificateId: { Ref: "AWS::IoT::Certificate::Id" }, Status: "ACTIVE" },
};

function nameOf(ThingName: unknown, given: Record<string, string> = {}): string {
  const body = parseTemplate("t", {
    Parameters: { Serial: { Type: "String" }, Region: { Type: "String", Default: "eu" } },
    Mappings: { Sites: { eu: { Name: "Dublin" } } },
    Resources: { certificate, thing: { Type: "AWS::IoT::Thing", Properties: { ThingName } } },
  });
  return evaluateTemplate(body, { Serial: "a-7", ...given }, "id").thing.name;
}

test("templates know the intrinsic functions of the guide", t => {
  t.is(nameOf({ Ref: "Serial" }), "a-7");
  t.is(nameOf({ "Fn::Join": ["-", ["x", { Ref: "Serial" }]] }), "x-a-7");
  t.is(nameOf({ "Fn::Sub": `dev-${variable("Serial")}` }), "dev-a-7");
  t.is(nameOf({ "Fn::Sub": [`${variable("x")}${variable("Serial")}`, { x: "y" }] }), "ya-7");
  t.is(nameOf({ "Fn::Select": ["1", { "Fn::Split": ["-", { Ref: "Serial" }] }] }), "7");
  t.is(nameOf({ "Fn::FindInMap": ["Sites", { Ref: "Region" }, "Name"] }), "Dublin");
});

test("a template refuses what it cannot evaluate", t => {
  for (const bad of [
    { Ref: "Nobody" },
    { "Fn::Nope": 1 },
    5,
    { Ref: "constructor" },
    { "Fn::Join": [] },
    "bad name",
  ]) {
    t.throws(() => nameOf(bad), { instanceOf: TemplateError }, JSON.stringify(bad));
  }
  t.throws(() => parseTemplate("t", { Resources: 5 }), { instanceOf: CloudError });
});
