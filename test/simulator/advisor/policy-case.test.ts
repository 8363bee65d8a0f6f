// Policies that are broader than one device needs are named; those of the local cloud's devices are not.
import test from "ava";
import { judgePolicies } from "../../../simulator/advisor/policy-case.js";
import { claimPolicy, devicePolicy } from "../../../simulator/cloud/defaults.js";
import { arnPrefix, parsePolicy } from "../../../simulator/cloud/policy.js";

const allowing = (Action: string | string[], Resource: string, Effect = "Allow") =>
  parsePolicy("p", { Version: "2012-10-17", Statement: [{ Effect, Action, Resource }] });
const thing = "${" + "iot:Connection.Thing.ThingName}";

test("the policy of a provisioned device passes, a claim's on a device does not", t => {
  t.is(judgePolicies([devicePolicy]).grade, "pass");
  const { grade, seen } = judgePolicies([devicePolicy, claimPolicy]);
  t.is(grade, "fail");
  t.regex(seen, /resource client\/\*/);
});

test("a certificate without a policy fails", t => {
  t.is(judgePolicies([]).grade, "fail");
});

const judged = test.macro({
  exec: (t, action: string | string[], resource: string, grade: "pass" | "fail") => {
    t.is(judgePolicies([allowing(action, resource)]).grade, grade);
  },
  title: (_, action, resource, grade) => `${action} on ${resource || "nothing"}: ${grade}`,
});

test(judged, "*", `${arnPrefix}client/${thing}`, "fail");
test(judged, "iot:*", `${arnPrefix}client/${thing}`, "fail");
test(judged, ["iot:Connect", "iot:P*"], `${arnPrefix}client/${thing}`, "fail");
test(judged, "iot:Connect", "*", "fail");
test(judged, "iot:Connect", `${arnPrefix}*`, "fail");
test(judged, "iot:Connect", `${arnPrefix}client/*`, "fail");
test(judged, "iot:Connect", `${arnPrefix}client/node-*`, "fail");
test(judged, "iot:Connect", `${arnPrefix}client/${thing}`, "pass");
test(judged, "iot:Connect", `${arnPrefix}client/node-1`, "pass");
test(judged, "iot:Publish", `${arnPrefix}topic/*`, "fail");
test(judged, "iot:Publish", `${arnPrefix}topic/dt/*`, "fail");
test(judged, "iot:Publish", `${arnPrefix}topic/$aws/things/*/shadow/update`, "fail");
test(judged, "iot:Publish", `${arnPrefix}topic/dt/${thing}/*`, "pass");
test(judged, "iot:Subscribe", `${arnPrefix}topicfilter/$aws/things/${thing}/shadow/*`, "pass");
test(judged, "iot:Publish", `${arnPrefix}topic/fleet/announcements/all/*`, "pass");

test("what is denied may be as broad as one likes", t => {
  t.is(judgePolicies([devicePolicy, allowing("*", "*", "Deny")]).grade, "pass");
});
